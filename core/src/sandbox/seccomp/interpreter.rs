//! The kernel's reading of a program, for tests: what a call gets, and what is wrong with a program.

use super::emit::{AND, Instruction, JUMP, JUMP_EQ, JUMP_GE, JUMP_GT, LOAD, MAX_LENGTH, RETURN};

/// `struct seccomp_data`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) arch: u32,
    pub(super) number: u32,
    pub(super) args: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        assert_eq!(offset % 4, 0, "the kernel takes whole words only");
        match offset {
            0 => self.number,
            4 => self.arch,
            16..=60 => {
                let arg = self.args[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { arg as u32 } else { (arg >> 32) as u32 }
            }
            _ => panic!("no word at {offset}"),
        }
    }
}

/// A program read back from its bytes.
pub(super) fn read(bytes: &[u8]) -> Vec<Instruction> {
    assert_eq!(bytes.len() % 8, 0);
    let half = |b: &[u8]| u16::from_ne_bytes([b[0], b[1]]);
    let word = |b: &[u8]| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]);
    let read = |b: &[u8]| Instruction { code: half(b), jt: b[2], jf: b[3], k: word(&b[4..]) };
    bytes.chunks(8).map(read).collect()
}

/// What the kernel checks before it takes a program.
pub(super) fn verify(program: &[Instruction]) {
    assert!(!program.is_empty() && program.len() <= MAX_LENGTH, "length {}", program.len());
    for (at, i) in program.iter().enumerate() {
        let reach = match i.code {
            JUMP => i.k as usize,
            JUMP_EQ | JUMP_GE | JUMP_GT => usize::from(i.jt.max(i.jf)),
            LOAD | AND | RETURN => 0,
            code => panic!("instruction {at} has the code {code:#x}"),
        };
        assert!(at + reach + 1 < program.len() || i.code == RETURN, "instruction {at} leaves the program");
    }
    assert_eq!(program[program.len() - 1].code, RETURN);
}

/// What a call gets, and in how many steps.
pub(super) fn run(program: &[Instruction], call: &Call) -> (u32, usize) {
    let (mut at, mut word) = (0, 0u32);
    for steps in 1.. {
        let i = program[at];
        let yes = match i.code {
            RETURN => return (i.k, steps),
            LOAD => {
                word = call.word(i.k);
                true
            }
            AND => {
                word &= i.k;
                true
            }
            JUMP => {
                at += i.k as usize;
                true
            }
            JUMP_EQ => word == i.k,
            JUMP_GE => word >= i.k,
            JUMP_GT => word > i.k,
            code => panic!("code {code:#x}"),
        };
        at += 1 + usize::from(if yes { i.jt } else { i.jf });
    }
    unreachable!("every program ends")
}
