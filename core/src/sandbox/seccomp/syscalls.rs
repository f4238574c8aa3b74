//! Names and numbers of system calls.

use std::collections::HashMap;
use std::sync::OnceLock;

/// A machine that programs are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Arch {
    /// Every machine.
    #[cfg(test)]
    pub(super) const ALL: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

    /// The machine this library was built for, if programs can be made for it.
    pub(crate) fn native() -> Option<Arch> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Arch::X86_64),
            "aarch64" => Some(Arch::Aarch64),
            _ => None,
        }
    }

    /// The kernel's `AUDIT_ARCH_*` value.
    pub(super) fn audit(self) -> u32 {
        const BITS_64_LITTLE_ENDIAN: u32 = 0xc000_0000;
        BITS_64_LITTLE_ENDIAN
            | match self {
                Arch::X86_64 => 62,
                Arch::Aarch64 => 183,
            }
    }

    /// Go's name of it, which docker's profiles use in conditions.
    pub(super) fn go_name(self) -> &'static str {
        match self {
            Arch::X86_64 => "amd64",
            Arch::Aarch64 => "arm64",
        }
    }
}

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// A call of this machine.
    Number(u32),
    /// A call that only other machines have.
    Elsewhere,
    /// No call that this version knows.
    Unknown,
}

type Table = HashMap<&'static str, [Option<u32>; 2]>;

/// The number of a call.
pub(super) fn lookup(name: &str, arch: Arch) -> Lookup {
    match table().get(name).map(|numbers| numbers[arch as usize]) {
        Some(Some(number)) => Lookup::Number(number),
        Some(None) => Lookup::Elsewhere,
        None => Lookup::Unknown,
    }
}

/// The highest number that any call of this machine has.
pub(super) fn highest(arch: Arch) -> u32 {
    table().values().filter_map(|numbers| numbers[arch as usize]).max().unwrap_or(0)
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        include_str!("syscalls.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let mut words = line.split(' ');
                let name = words.next()?;
                Some((name, [words.next()?.parse().ok(), words.next()?.parse().ok()]))
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        for (name, x86_64, aarch64) in [
            ("read", 0, 63),
            ("openat", 257, 56),
            ("clone3", 435, 435),
            ("statx", 332, 291),
            ("bpf", 321, 280),
        ] {
            assert_eq!(lookup(name, Arch::X86_64), Lookup::Number(x86_64), "{name}");
            assert_eq!(lookup(name, Arch::Aarch64), Lookup::Number(aarch64), "{name}");
        }
        assert_eq!(lookup("open", Arch::Aarch64), Lookup::Elsewhere);
        assert_eq!(lookup("socketcall", Arch::X86_64), Lookup::Elsewhere);
        assert_eq!(lookup("opne", Arch::X86_64), Lookup::Unknown);
    }

    #[test]
    fn the_native_table_agrees_with_libc() {
        let native = Arch::native().expect("tests run on a known machine");
        for (name, number) in [
            ("write", libc::SYS_write),
            ("execveat", libc::SYS_execveat),
            ("landlock_add_rule", libc::SYS_landlock_add_rule),
            ("mseal", libc::SYS_mseal),
        ] {
            assert_eq!(lookup(name, native), Lookup::Number(number as u32), "{name}");
        }
    }

    #[test]
    fn no_number_has_two_names() {
        for arch in Arch::ALL {
            let mut seen = std::collections::HashSet::new();
            for (name, numbers) in table() {
                if let Some(number) = numbers[arch as usize] {
                    assert!(seen.insert(number), "{name} shares {number} on {arch:?}");
                }
            }
            assert!(seen.len() > 300 && highest(arch) < 600);
        }
    }
}
