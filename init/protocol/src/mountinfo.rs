//! Texts of `/proc/<pid>/mountinfo`.

/// Undoes the octal escapes of a field. What looks like an escape and is none stays as it is.
pub fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    if !bytes.contains(&b'\\') {
        return bytes.to_vec();
    }
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let code = bytes.get(at + 1..at + 4).filter(|_| bytes[at] == b'\\');
        match code.and_then(|c| u8::from_str_radix(std::str::from_utf8(c).ok()?, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescape("/a\\040b\\134"), b"/a b\\");
        assert_eq!(unescape("/a\\134040b\\011"), b"/a\\040b\t");
        assert_eq!(unescape("/plain\\0"), b"/plain\\0");
    }
}
