//! Device rules as a program of type `BPF_PROG_TYPE_CGROUP_DEVICE`: the kernel runs it for each `mknod` and `open`
//! of a device in the cgroup, and 0 forbids.

use super::rules::{Access, Devices, Kind, State};

/// One instruction as the kernel reads it.
fn instruction(code: u8, dst: u8, src: u8, offset: i16, value: i32) -> [u8; 8] {
    let [o0, o1] = offset.to_ne_bytes();
    let [v0, v1, v2, v3] = value.to_ne_bytes();
    // The two registers are bit fields, whose order follows the machine's.
    let registers = if cfg!(target_endian = "little") { src << 4 | dst } else { dst << 4 | src };
    [code, registers, o0, o1, v0, v1, v2, v3]
}

/// Load a word from memory.
const LOAD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const MOVE: u8 = 0xb4;
const MOVE_REGISTER: u8 = 0xbc;
/// Comparisons of 32 bits: device numbers have as many, and a greater constant would be extended by its sign.
const JUMP_NOT_EQUAL: u8 = 0x56;
const JUMP_EQUAL: u8 = 0x16;
const JUMP_NOT_EQUAL_REGISTER: u8 = 0x5e;
const JUMP: u8 = 0x05;
const EXIT: u8 = 0x95;

/// Registers: the result, the context and then a scratch, and what is asked for.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const SCRATCH: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// So many exceptions at once are reached by jumps, which have 16 bits.
const PIECE: usize = 1000;

type Code = Vec<[u8; 8]>;

/// The program for a state. Kinds and major numbers are compared once for all devices that share them: whatever is known
/// already when it is compared again, the kernel's verifier follows on a way of its own.
pub(super) fn compile(state: &State) -> Code {
    // struct bpf_cgroup_dev_ctx: access << 16 | kind, major, minor.
    let mut program = vec![
        instruction(LOAD, KIND, CONTEXT, 0, 0),
        instruction(MOVE_REGISTER, ACCESS, KIND, 0, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(LOAD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD, MINOR, CONTEXT, 8, 0),
    ];
    let exceptions: Vec<Exception<'_>> = state.exceptions.iter().collect();
    for piece in exceptions.chunks(PIECE) {
        // In the order of the map, what belongs together stands together, any number first.
        let kinds = piece.chunk_by(|a, b| a.0.kind == b.0.kind).map(|kind| {
            let any = kind.partition_point(|(devices, _)| devices.major.is_none());
            let mut code = devices(&kind[..any], state.allows);
            let majors = kind[any..].chunk_by(|a, b| a.0.major == b.0.major);
            code.extend(either(majors.map(|all| {
                let major = all[0].0.major.unwrap_or_default();
                (MAJOR, major, devices(all, state.allows))
            })));
            (KIND, if kind[0].0.kind == Kind::Block { 1 } else { 2 }, code)
        });
        program.extend(either(kinds));
    }
    program.extend(end(state.allows));
    program
}

type Exception<'a> = (&'a Devices, &'a Access);

/// Code for each of several values of a register, of which one at most is there; goes on behind all of it.
fn either(cases: impl DoubleEndedIterator<Item = (u8, u32, Code)>) -> Code {
    cases.rev().fold(Code::new(), |rest, (register, value, mut code)| {
        if !rest.is_empty() {
            code.push(instruction(JUMP, 0, 0, rest.len() as i16, 0));
        }
        code.insert(0, instruction(JUMP_NOT_EQUAL, register, 0, code.len() as i16, value.cast_signed()));
        code.extend(rest);
        code
    })
}

/// The end of the program for those that are left to be told by their minor numbers and by the access.
fn devices(all: &[Exception<'_>], allows: bool) -> Code {
    let mut program = Code::new();
    for (devices, access) in all {
        let mut tests = Vec::new();
        tests.extend(devices.minor.map(|n| (JUMP_NOT_EQUAL, MINOR, 0, n.cast_signed())));
        if **access != Access::ALL {
            tests.push((MOVE_REGISTER, SCRATCH, ACCESS, 0));
            tests.push((AND, SCRATCH, 0, access.0.cast_signed()));
            // Allowed must be everything that is asked for; of what is denied, anything is enough.
            tests.push(match allows {
                true => (JUMP_EQUAL, SCRATCH, 0, 0),
                false => (JUMP_NOT_EQUAL_REGISTER, SCRATCH, ACCESS, 0),
            });
        }
        let count = tests.len();
        for (i, (code, dst, src, value)) in tests.into_iter().enumerate() {
            let is_jump = matches!(code, JUMP_NOT_EQUAL | JUMP_EQUAL | JUMP_NOT_EQUAL_REGISTER);
            // Over the tests that follow and the two instructions that end the program.
            let skip = if is_jump { (count - i + 1) as i16 } else { 0 };
            program.push(instruction(code, dst, src, skip, value));
        }
        program.extend(end(!allows));
    }
    program
}

fn end(allow: bool) -> [[u8; 8]; 2] {
    [instruction(MOVE, RESULT, 0, 0, i32::from(allow)), instruction(EXIT, 0, 0, 0, 0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the kernel would return.
    fn run(program: &[[u8; 8]], kind: u32, access: u32, major: u32, minor: u32) -> u64 {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0u64; 11];
        let mut at = 0usize;
        loop {
            let [code, regs, o0, o1, v0, v1, v2, v3] = program[at];
            let (dst, src) = (usize::from(regs & 15), usize::from(regs >> 4));
            let offset = i16::from_ne_bytes([o0, o1]);
            let value = i32::from_ne_bytes([v0, v1, v2, v3]).cast_unsigned();
            let word = |n: u64| n as u32;
            at += 1;
            match code {
                LOAD => registers[dst] = u64::from(context[offset as usize / 4]),
                AND => registers[dst] = u64::from(word(registers[dst]) & value),
                SHIFT_RIGHT => registers[dst] = u64::from(word(registers[dst]) >> value),
                MOVE => registers[dst] = u64::from(value),
                MOVE_REGISTER => registers[dst] = u64::from(word(registers[src])),
                JUMP => at += offset as usize,
                JUMP_NOT_EQUAL if word(registers[dst]) != value => at += offset as usize,
                JUMP_EQUAL if word(registers[dst]) == value => at += offset as usize,
                JUMP_NOT_EQUAL_REGISTER if word(registers[dst]) != word(registers[src]) => {
                    at += offset as usize;
                }
                JUMP_NOT_EQUAL | JUMP_EQUAL | JUMP_NOT_EQUAL_REGISTER => {}
                EXIT => return registers[0],
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    fn devices() -> impl Strategy<Value = Devices> {
        let number = || prop_oneof![Just(None), (0u32..3).prop_map(Some), Just(Some(u32::MAX))];
        let kind = prop_oneof![Just(Kind::Block), Just(Kind::Char)];
        (kind, number(), number()).prop_map(|(kind, major, minor)| Devices { kind, major, minor })
    }

    proptest! {
        #[test]
        fn the_program_decides_as_the_rules(
            allows: bool,
            exceptions in proptest::collection::btree_map(devices(), (1u32..8).prop_map(Access), 0..6),
        ) {
            let state = State { allows, exceptions };
            let program = compile(&state);
            for (kind, code) in [(Kind::Block, 1), (Kind::Char, 2)] {
                for major in [0, 1, 2, u32::MAX] {
                    for minor in [0, 1, 5, u32::MAX] {
                        for access in 1..8 {
                            let wanted = state.permits(kind, major, minor, Access(access));
                            prop_assert_eq!(run(&program, code, access, major, minor), u64::from(wanted));
                        }
                    }
                }
            }
        }
    }
}
