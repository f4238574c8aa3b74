//! Archives made byte by byte, so that wrong ones can be made too.

/// One header and its data.
#[derive(Clone)]
pub(super) struct Item {
    block: [u8; 512],
    data: Vec<u8>,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |range: std::ops::Range<usize>| {
            let field = &self.block[range];
            let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).into_owned()
        };
        write!(f, "{}:{:?} {:?}", self.block[156] as char, text(0..100), text(157..257))
    }
}

impl Item {
    pub(super) fn new(flag: u8, name: &str) -> Item {
        let mut item = Item { block: [0; 512], data: Vec::new() };
        item.block[156] = flag;
        item.block[257..265].copy_from_slice(b"ustar\x0000");
        item.raw_name(name.as_bytes()).octal(100..108, 0o644).octal(108..116, 0).octal(116..124, 0);
        item.octal(124..136, 0).octal(136..148, 1_000_000_000).octal(329..337, 0).octal(337..345, 0);
        item
    }

    pub(super) fn file(name: &str, data: &str) -> Item {
        let mut item = Item::new(b'0', name);
        item.data(data.as_bytes());
        item
    }

    pub(super) fn dir(name: &str) -> Item {
        let mut item = Item::new(b'5', name);
        item.mode(0o755);
        item
    }

    pub(super) fn link(flag: u8, name: &str, target: &str) -> Item {
        let mut item = Item::new(flag, name);
        item.bytes(157, target.as_bytes());
        item
    }

    pub(super) fn symlink(name: &str, target: &str) -> Item {
        Item::link(b'2', name, target)
    }

    pub(super) fn hard(name: &str, target: &str) -> Item {
        Item::link(b'1', name, target)
    }

    pub(super) fn device(flag: u8, name: &str, major: u64, minor: u64) -> Item {
        let mut item = Item::new(flag, name);
        item.octal(329..337, major).octal(337..345, minor);
        item
    }

    pub(super) fn pax(records: &[(&str, &str)]) -> Item {
        let all: Vec<u8> = records.iter().flat_map(|(k, v)| record(k.as_bytes(), v.as_bytes())).collect();
        Item::raw_pax(b'x', &all)
    }

    pub(super) fn raw_pax(flag: u8, data: &[u8]) -> Item {
        let mut item = Item::new(flag, "pax");
        item.data(data);
        item
    }

    pub(super) fn long(flag: u8, name: &[u8]) -> Item {
        let mut item = Item::new(flag, "././@LongLink");
        item.gnu();
        item.data(&[name, b"\0"].concat());
        item
    }

    pub(super) fn gnu(&mut self) -> &mut Item {
        self.bytes(257, b"ustar  \0")
    }

    pub(super) fn raw_name(&mut self, name: &[u8]) -> &mut Item {
        self.bytes(0, &name[..name.len().min(100)])
    }

    pub(super) fn bytes(&mut self, at: usize, bytes: &[u8]) -> &mut Item {
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(super) fn octal(&mut self, field: std::ops::Range<usize>, value: u64) -> &mut Item {
        let text = format!("{value:0width$o}\0", width = field.len() - 1);
        self.block[field].copy_from_slice(text.as_bytes());
        self
    }

    pub(super) fn mode(&mut self, mode: u64) -> &mut Item {
        self.octal(100..108, mode)
    }

    pub(super) fn size(&mut self, size: u64) -> &mut Item {
        self.octal(124..136, size)
    }

    /// Data, and its size in the header.
    pub(super) fn data(&mut self, data: &[u8]) -> &mut Item {
        self.data = data.to_vec();
        self.size(data.len() as u64)
    }

    /// Data that the header does not count.
    pub(super) fn extra(&mut self, data: &[u8]) -> &mut Item {
        self.data = data.to_vec();
        self
    }

    pub(super) fn done(&mut self) -> Item {
        self.clone()
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut block = self.block;
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let mut bytes = block.to_vec();
        bytes.extend_from_slice(&self.data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }
}

/// One PAX record.
pub(super) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// A whole archive.
pub(super) fn archive(items: &[Item]) -> Vec<u8> {
    let mut bytes: Vec<u8> = items.iter().flat_map(Item::to_bytes).collect();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}
