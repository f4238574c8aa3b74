//! Names and numbers of system calls.

use std::collections::HashMap;
use std::sync::OnceLock;

/// A machine that programs are made for, or a kind of calls that one has beside its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit x86, which 64-bit x86 runs too.
    X86,
    /// 64-bit x86 with short pointers: calls of x86_64 with a bit in their number.
    X32,
    /// 32-bit ARM, which some of 64-bit ARM run too.
    Arm,
}

impl Arch {
    /// Every machine, in the order of the table's columns.
    #[cfg(test)]
    pub(super) const ALL: [Arch; COLUMNS] = [Arch::X86_64, Arch::Aarch64, Arch::X86, Arch::X32, Arch::Arm];

    /// The machine this library was built for, if programs can be made for it.
    pub(crate) fn native() -> Option<Arch> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Arch::X86_64),
            "aarch64" => Some(Arch::Aarch64),
            _ => None,
        }
    }

    /// The machine of libseccomp's name without `SCMP_ARCH_`; `None`: one that neither of ours runs.
    pub(super) fn of_scmp(word: &str) -> Option<Arch> {
        match word {
            "X86_64" => Some(Arch::X86_64),
            "AARCH64" => Some(Arch::Aarch64),
            "X86" => Some(Arch::X86),
            "X32" => Some(Arch::X32),
            "ARM" => Some(Arch::Arm),
            _ => None,
        }
    }

    /// Whether a machine of this kind makes calls of another kind too.
    pub(super) fn runs(self, other: Arch) -> bool {
        match self {
            Arch::X86_64 => matches!(other, Arch::X86 | Arch::X32),
            Arch::Aarch64 => other == Arch::Arm,
            _ => false,
        }
    }

    /// The kernel's `AUDIT_ARCH_*` value. That of x32 is x86_64's.
    pub(super) fn audit(self) -> u32 {
        const LITTLE_ENDIAN: u32 = 0x4000_0000;
        const BITS_64: u32 = 0x8000_0000;
        LITTLE_ENDIAN
            | match self {
                Arch::X86_64 | Arch::X32 => BITS_64 | 62,
                Arch::Aarch64 => BITS_64 | 183,
                Arch::X86 => 3,
                Arch::Arm => 40,
            }
    }

    /// Go's name of it, which docker's profiles use in conditions.
    pub(super) fn go_name(self) -> &'static str {
        match self {
            Arch::X86_64 => "amd64",
            Arch::Aarch64 => "arm64",
            Arch::X86 => "x86",
            Arch::X32 => "x32",
            Arch::Arm => "arm",
        }
    }

    /// The number that its first call has.
    pub(super) fn first(self) -> u32 {
        if self == Arch::X32 { X32_BIT } else { 0 }
    }

    /// Whether arguments have 64 bits; else the upper half is always 0.
    pub(super) fn is_wide(self) -> bool {
        !matches!(self, Arch::X86 | Arch::Arm)
    }
}

/// Calls of the x32 kind have this bit in their number.
pub(super) const X32_BIT: u32 = 0x4000_0000;
/// From here on ARM has calls of its own, far above all others.
pub(super) const ARM_PRIVATE: u32 = 0x000f_0000;
/// Machines in the table.
const COLUMNS: usize = 5;

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

type Table = HashMap<&'static str, [Option<u32>; COLUMNS]>;

/// The number of a call.
pub(super) fn lookup(name: &str, arch: Arch) -> Lookup {
    match table().get(name).map(|numbers| numbers[arch as usize]) {
        Some(Some(number)) => Lookup::Number(arch.first() + number),
        Some(None) => Lookup::Elsewhere,
        None => Lookup::Unknown,
    }
}

/// Whether any machine has a call of this name.
pub(super) fn is_known(name: &str) -> bool {
    table().contains_key(name)
}

/// The highest number that any call of this machine has, ARM's private ones aside.
pub(super) fn highest(arch: Arch) -> u32 {
    let numbers = table().values().filter_map(|numbers| numbers[arch as usize]);
    arch.first() + numbers.filter(|number| *number < ARM_PRIVATE).max().unwrap_or(0)
}

/// Calls of 32-bit x86 that can also be made through a collective one, which is told by a number in its first
/// argument what to do: the collective's name, the bits of the argument that count, and the number.
pub(super) fn collective(name: &str) -> Option<(&'static str, u64, u64)> {
    const SOCKETCALL: [&str; 20] = [
        "socket",
        "bind",
        "connect",
        "listen",
        "accept",
        "getsockname",
        "getpeername",
        "socketpair",
        "send",
        "recv",
        "sendto",
        "recvfrom",
        "shutdown",
        "setsockopt",
        "getsockopt",
        "sendmsg",
        "recvmsg",
        "accept4",
        "recvmmsg",
        "sendmmsg",
    ];
    const IPC: [(&str, u64); 12] = [
        ("semop", 1),
        ("semget", 2),
        ("semctl", 3),
        ("semtimedop", 4),
        ("msgsnd", 11),
        ("msgrcv", 12),
        ("msgget", 13),
        ("msgctl", 14),
        ("shmat", 21),
        ("shmdt", 22),
        ("shmget", 23),
        ("shmctl", 24),
    ];
    if let Some(at) = SOCKETCALL.iter().position(|known| *known == name) {
        return Some(("socketcall", u64::from(u32::MAX), at as u64 + 1));
    }
    // the upper half of ipc's number is a version
    IPC.iter().find(|(known, _)| *known == name).map(|(_, number)| ("ipc", 0xffff, *number))
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
                Some((name, std::array::from_fn(|_| words.next().and_then(|word| word.parse().ok()))))
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        for (name, numbers) in [
            ("read", [0, 63, 3, X32_BIT, 3]),
            ("openat", [257, 56, 295, X32_BIT | 257, 322]),
            ("clone3", [435, 435, 435, X32_BIT | 435, 435]),
            ("statx", [332, 291, 383, X32_BIT | 332, 397]),
            ("bpf", [321, 280, 357, X32_BIT | 321, 386]),
            ("execve", [59, 221, 11, X32_BIT | 520, 11]),
        ] {
            for (arch, number) in Arch::ALL.into_iter().zip(numbers) {
                assert_eq!(lookup(name, arch), Lookup::Number(number), "{name} on {arch:?}");
            }
        }
        assert_eq!(lookup("set_tls", Arch::Arm), Lookup::Number(0x000f_0005));
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
            // one call of ARM's has two names
            for (name, numbers) in table().iter().filter(|(name, _)| **name != "arm_sync_file_range") {
                if let Some(number) = numbers[arch as usize] {
                    assert!(seen.insert(number), "{name} shares {number} on {arch:?}");
                }
            }
            assert!(seen.len() > 300 && highest(arch) - arch.first() < 600);
        }
    }
}
