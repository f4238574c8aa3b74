//! From decisions to a program: a tree of comparisons with the call's number, and argument checks at its
//! leaves.

use super::ProfileError;
use super::emit::{Label, Program};
use super::profile::{Action, Condition, Profile, Test};
use super::select::{Decision, select};
use super::syscalls::{Arch, highest};

/// What a program is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// The machine.
    pub(crate) arch: Arch,
    /// Capabilities in the container's bounding set, bit n being capability n.
    pub(crate) caps: u64,
    /// Version of the kernel.
    pub(crate) kernel: (u32, u32),
}

impl Target {
    /// This machine and its kernel, for a process with these capabilities.
    pub(crate) fn here(caps: u64) -> Result<Target, ProfileError> {
        let arch = Arch::native().ok_or_else(|| {
            let message = "system call filters are built for x86_64 and aarch64; use `unconfined` here";
            ProfileError::unsupported("", message)
        })?;
        Ok(Target { arch, caps, kernel: kernel() })
    }
}

fn kernel() -> (u32, u32) {
    let name = rustix::system::uname();
    let mut numbers = name.release().to_str().unwrap_or("").split(['.', '-']).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// `ENOSYS`: no such call.
const ENOSYS: u16 = 38;
/// Calls of the x32 kind have this bit in their number.
const X32: u32 = 0x4000_0000;
/// A tracer makes the kernel skip a call by this number; no call has it.
const SKIPPED: u32 = u32::MAX;

/// Offsets in `struct seccomp_data`; both machines are little-endian.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const fn low(index: u8) -> u32 {
    16 + 8 * index as u32
}
const fn high(index: u8) -> u32 {
    low(index) + 4
}

/// The program of a profile: an array of `struct sock_filter`, 8 bytes each in native order.
pub(crate) fn compile(profile: &Profile, target: &Target) -> Result<Vec<u8>, ProfileError> {
    let ranges = ranges(profile, target)?;
    let mut program = Program::default();
    let skipped = program.ret(profile.default.code());
    let kill = program.ret(Action::KillProcess.code());
    let mut start = tree(&mut program, &ranges);
    // before it: which kind of call, on which machine
    if target.arch == Arch::X86_64 {
        let foreign = program.jump_eq(SKIPPED, skipped, kill);
        start = program.jump_ge(X32, foreign, start);
    }
    let number = program.load(NUMBER, start);
    let native = program.jump_eq(target.arch.audit(), number, kill);
    program.load(ARCH, native);
    program.finish().map_err(|length| {
        let message = format!("the profile makes a program of {length} instructions; the kernel takes 4096");
        ProfileError::invalid("syscalls", message)
    })
}

/// Call numbers from `first` to the next range's first, or to the end.
struct Range {
    first: u32,
    decision: Decision,
    /// How many numbers the kernel tries in it when the filter is attached.
    weight: u32,
}

/// Every number from 0, neighbours with the same decision together.
fn ranges(profile: &Profile, target: &Target) -> Result<Vec<Range>, ProfileError> {
    let selection = select(profile, target)?;
    let beyond = match (selection.newest, profile.default) {
        // like runc: what the profile's author can't have known of does not exist, so that programs fall back
        (Some(_), default) if default.refuses() => Action::Errno(ENOSYS),
        (_, default) => default,
    };
    let newest = selection.newest.map_or(0, |number| number + 1);
    let end = newest.max(highest(target.arch) + 1);
    let mut ranges: Vec<Range> = Vec::new();
    for number in 0..=end {
        let decision = match selection.calls.get(&number) {
            Some(decision) => decision.clone(),
            None if number < newest => Decision::always(profile.default),
            None => Decision::always(beyond),
        };
        match ranges.last_mut() {
            Some(last) if last.decision == decision => last.weight += 1,
            _ => ranges.push(Range { first: number, decision, weight: 1 }),
        }
    }
    Ok(ranges)
}

/// Compares the number, which is loaded, until one range is left.
fn tree(program: &mut Program, ranges: &[Range]) -> Label {
    if let [only] = ranges {
        return leaf(program, &only.decision);
    }
    let total: u32 = ranges.iter().map(|range| range.weight).sum();
    let mut left = 0;
    let mut split = 1;
    for (i, range) in ranges.iter().enumerate().take(ranges.len() - 1) {
        left += range.weight;
        split = i + 1;
        if left * 2 >= total {
            break;
        }
    }
    let above = tree(program, &ranges[split..]);
    let below = tree(program, &ranges[..split]);
    program.jump_ge(ranges[split].first, above, below)
}

fn leaf(program: &mut Program, decision: &Decision) -> Label {
    let mut next = program.ret(decision.otherwise.code());
    for (conditions, action) in decision.checks.iter().rev() {
        let mut hit = program.ret(action.code());
        for condition in conditions.iter().rev() {
            hit = check(program, condition, hit, next);
        }
        next = hit;
    }
    next
}

/// Goes to `yes` when the condition holds, else to `no`. Each half of the argument is loaded when needed.
fn check(program: &mut Program, condition: &Condition, yes: Label, no: Label) -> Label {
    match condition.test {
        Test::Eq(value) => equal(program, condition.index, u64::MAX, value, yes, no),
        Test::Ne(value) => equal(program, condition.index, u64::MAX, value, no, yes),
        Test::Masked { mask, value } => equal(program, condition.index, mask, value, yes, no),
        Test::Ge(value) => above(program, condition.index, value, true, yes, no),
        Test::Lt(value) => above(program, condition.index, value, true, no, yes),
        Test::Gt(value) => above(program, condition.index, value, false, yes, no),
        Test::Le(value) => above(program, condition.index, value, false, no, yes),
    }
}

fn equal(program: &mut Program, index: u8, mask: u64, value: u64, yes: Label, no: Label) -> Label {
    let mut next = yes;
    for (offset, mask, value) in
        [(low(index), mask as u32, value as u32), (high(index), (mask >> 32) as u32, (value >> 32) as u32)]
    {
        if mask == 0 {
            continue;
        }
        next = program.jump_eq(value, next, no);
        if mask != u32::MAX {
            next = program.and(mask, next);
        }
        next = program.load(offset, next);
    }
    next
}

fn above(program: &mut Program, index: u8, value: u64, or_same: bool, yes: Label, no: Label) -> Label {
    let (value_low, value_high) = (value as u32, (value >> 32) as u32);
    let halves = match or_same {
        true => program.jump_ge(value_low, yes, no),
        false => program.jump_gt(value_low, yes, no),
    };
    let halves = program.load(low(index), halves);
    let same = program.jump_eq(value_high, halves, no);
    let more = program.jump_gt(value_high, yes, same);
    program.load(high(index), more)
}
