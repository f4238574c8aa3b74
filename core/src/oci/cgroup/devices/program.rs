//! Device rules as a program of type `BPF_PROG_TYPE_CGROUP_DEVICE`: the kernel runs it for each `mknod` and `open`
//! of a device in the cgroup, and 0 forbids.

use super::rules::{Access, Devices, Kind, State};

/// One instruction as the kernel reads it.
fn instruction(code: u8, dst: u8, src: u8, offset: i16, value: i32) -> u64 {
    let [o0, o1] = offset.to_ne_bytes();
    let [v0, v1, v2, v3] = value.to_ne_bytes();
    // The two registers are bit fields, whose order follows the machine's.
    let registers = if cfg!(target_endian = "little") { src << 4 | dst } else { dst << 4 | src };
    u64::from_ne_bytes([code, registers, o0, o1, v0, v1, v2, v3])
}

/// Load a word from memory, and a constant of 64 bits, which takes two places.
const LOAD: u8 = 0x61;
const LOAD_CONSTANT: u8 = 0x18;
/// Of 32 bits, since device numbers have as many, and a greater constant would be extended by its sign.
const MOVE: u8 = 0xb4;
const MOVE_REGISTER: u8 = 0xbc;
const AND: u8 = 0x54;
const XOR: u8 = 0xa4;
const SHIFT_RIGHT: u8 = 0x74;
/// Of 64 bits.
const OR_REGISTER: u8 = 0x4f;
const SHIFT_RIGHT_WHOLE: u8 = 0x77;
const SHIFT_RIGHT_REGISTER: u8 = 0x7f;
const SUBTRACT_WHOLE: u8 = 0x17;
const EXIT: u8 = 0x95;

/// Registers: whether an exception fits, the context and then what is wrong with one exception, what is asked for, and
/// scratches.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const WRONG: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;
const BITS: u8 = 7;

type Code = Vec<u64>;

/// The program for a state. It has no jump: the kernel's verifier follows both ways of each, and that would be most of what
/// setting the rules costs.
pub(super) fn compile(state: &State) -> Code {
    // struct bpf_cgroup_dev_ctx: access << 16 | kind, major, minor.
    let mut code = vec![
        instruction(LOAD, KIND, CONTEXT, 0, 0),
        instruction(MOVE_REGISTER, ACCESS, KIND, 0, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(LOAD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD, MINOR, CONTEXT, 8, 0),
        instruction(MOVE, RESULT, 0, 0, 0),
    ];
    let exceptions: Vec<(&Devices, &Access)> = state.exceptions.iter().collect();
    // In the order of the map, what belongs together stands together.
    for all in exceptions.chunk_by(|a, b| (a.0.kind, a.0.major) == (b.0.kind, b.0.major)) {
        for access in 1..=Access::ALL.0 {
            let minors = all.iter().filter(|(_, a)| a.0 == access).map(|(devices, _)| devices.minor);
            for minors in Minors::of(minors) {
                fit(&mut code, all[0].0, &minors, (Access(access), state.allows));
            }
        }
    }
    if state.allows {
        code.push(instruction(XOR, RESULT, 0, 0, 1));
    }
    // Linux 6.1, for one, loses sight of its being one bit, and refuses a program that may return something else.
    code.push(instruction(AND, RESULT, 0, 0, 1));
    code.push(instruction(EXIT, 0, 0, 0, 0));
    code
}

/// Minor numbers that are looked at together.
enum Minors {
    Any,
    One(u32),
    /// Small ones, as bits.
    Small(u64),
}

impl Minors {
    fn of(all: impl Iterator<Item = Option<u32>>) -> Vec<Minors> {
        let (mut found, mut small) = (Vec::new(), 0u64);
        for minor in all {
            match minor {
                None => found.push(Minors::Any),
                Some(n) if n < u64::BITS => small |= 1 << n,
                Some(n) => found.push(Minors::One(n)),
            }
        }
        if small != 0 {
            found.push(Minors::Small(small));
        }
        found
    }
}

/// Adds to the result whether devices and access fit: whether of the bits in which they differ none is set.
fn fit(code: &mut Code, devices: &Devices, minors: &Minors, (access, allows): (Access, bool)) {
    let kind = if devices.kind == Kind::Block { 1 } else { 2 };
    code.extend([instruction(MOVE_REGISTER, WRONG, KIND, 0, 0), instruction(XOR, WRONG, 0, 0, kind)]);
    let differ = |register, from: u32| {
        [
            instruction(MOVE_REGISTER, SCRATCH, register, 0, 0),
            instruction(XOR, SCRATCH, 0, 0, from.cast_signed()),
        ]
    };
    let add = |register| instruction(OR_REGISTER, WRONG, register, 0, 0);
    // 1 if the register is 0, else 0.
    let is_zero = |register| {
        [instruction(SUBTRACT_WHOLE, register, 0, 0, 1), instruction(SHIFT_RIGHT_WHOLE, register, 0, 0, 63)]
    };
    if let Some(major) = devices.major {
        code.extend(differ(MAJOR, major));
        code.push(add(SCRATCH));
    }
    match minors {
        Minors::Any => {}
        Minors::One(minor) => {
            code.extend(differ(MINOR, *minor));
            code.push(add(SCRATCH));
        }
        Minors::Small(bits) => {
            let [low, high] = [!bits as u32, (!bits >> 32) as u32].map(u32::cast_signed);
            code.extend([
                instruction(MOVE_REGISTER, SCRATCH, MINOR, 0, 0),
                instruction(SHIFT_RIGHT, SCRATCH, 0, 0, 6),
                add(SCRATCH),
                instruction(MOVE_REGISTER, SCRATCH, MINOR, 0, 0),
                instruction(AND, SCRATCH, 0, 0, 63),
                instruction(LOAD_CONSTANT, BITS, 0, 0, low),
                instruction(0, 0, 0, 0, high),
                instruction(SHIFT_RIGHT_REGISTER, BITS, SCRATCH, 0, 0),
                instruction(AND, BITS, 0, 0, 1),
                add(BITS),
            ]);
        }
    }
    if access != Access::ALL {
        // Allowed must be everything that is asked for; of what is denied, anything is enough.
        let mask = if allows { access.0 } else { !access.0 };
        code.push(instruction(MOVE_REGISTER, SCRATCH, ACCESS, 0, 0));
        code.push(instruction(AND, SCRATCH, 0, 0, mask.cast_signed()));
        if allows {
            code.extend(is_zero(SCRATCH));
        }
        code.push(add(SCRATCH));
    }
    code.extend(is_zero(WRONG));
    code.push(instruction(OR_REGISTER, RESULT, WRONG, 0, 0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the kernel would return.
    fn run(program: &[u64], kind: u32, access: u32, major: u32, minor: u32) -> u64 {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0u64; 11];
        let mut at = 0usize;
        loop {
            let [code, regs, o0, o1, v0, v1, v2, v3] = program[at].to_ne_bytes();
            let (dst, src) = (usize::from(regs & 15), usize::from(regs >> 4));
            let offset = i16::from_ne_bytes([o0, o1]);
            let value = i32::from_ne_bytes([v0, v1, v2, v3]).cast_unsigned();
            let word = |n: u64| n as u32;
            at += 1;
            match code {
                LOAD => registers[dst] = u64::from(context[offset as usize / 4]),
                LOAD_CONSTANT => {
                    let [.., h0, h1, h2, h3] = program[at].to_ne_bytes();
                    registers[dst] = u64::from(u32::from_ne_bytes([h0, h1, h2, h3])) << 32 | u64::from(value);
                    at += 1;
                }
                MOVE => registers[dst] = u64::from(value),
                MOVE_REGISTER => registers[dst] = u64::from(word(registers[src])),
                AND => registers[dst] = u64::from(word(registers[dst]) & value),
                XOR => registers[dst] = u64::from(word(registers[dst]) ^ value),
                SHIFT_RIGHT => registers[dst] = u64::from(word(registers[dst]) >> value),
                OR_REGISTER => registers[dst] |= registers[src],
                SHIFT_RIGHT_WHOLE => registers[dst] >>= value,
                SHIFT_RIGHT_REGISTER => registers[dst] >>= registers[src],
                SUBTRACT_WHOLE => registers[dst] = registers[dst].wrapping_sub(u64::from(value)),
                EXIT => return registers[0],
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    fn devices() -> impl Strategy<Value = Devices> {
        let number = || {
            prop_oneof![
                Just(None),
                (0u32..3).prop_map(Some),
                (62u32..66).prop_map(Some),
                Just(Some(u32::MAX))
            ]
        };
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
                for major in [0, 1, 2, 64, u32::MAX] {
                    for minor in [0, 1, 5, 62, 63, 64, 65, u32::MAX] {
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
