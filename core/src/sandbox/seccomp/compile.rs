//! From decisions to a program: a tree of comparisons with the call's number, and argument checks at its
//! leaves.

use super::ProfileError;
use super::emit::{Label, Program};
use super::profile::{Action, Condition, Profile, Test};
use super::select::{Decision, Selection, select};
use super::syscalls::{ARM_PRIVATE, Arch, X32_BIT, highest};
use std::collections::BTreeMap;

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
    let mut program = Program::default();
    let kill = program.ret(Action::KillProcess.code());
    let mut start = kill;
    // what is written last comes first: the machine's own calls
    for arch in [Arch::Arm, Arch::X86] {
        if allowed(profile, target, arch) {
            let calls = calls(&mut program, profile, &Target { arch, ..*target })?;
            let number = program.load(NUMBER, calls);
            start = program.jump_eq(arch.audit(), number, start);
        }
    }
    let own = own_calls(&mut program, profile, target, kill)?;
    let number = program.load(NUMBER, own);
    let start = program.jump_eq(target.arch.audit(), number, start);
    program.load(ARCH, start);
    program.finish().map_err(|length| {
        let message = format!("the profile makes a program of {length} instructions; the kernel takes 4096");
        ProfileError::invalid("syscalls", message)
    })
}

/// Whether calls of another kind than the machine's own may be made.
fn allowed(profile: &Profile, target: &Target, arch: Arch) -> bool {
    target.arch.runs(arch) && profile.machines.contains(&arch)
}

/// The calls that the kernel says are the machine's own: x32 ones are among those of x86_64.
fn own_calls(
    program: &mut Program,
    profile: &Profile,
    target: &Target,
    kill: Label,
) -> Result<Label, ProfileError> {
    if target.arch != Arch::X86_64 {
        return calls(program, profile, target);
    }
    let short = match allowed(profile, target, Arch::X32) {
        true => calls(program, profile, &Target { arch: Arch::X32, ..*target })?,
        false => kill,
    };
    let skipped = program.ret(profile.default.code());
    let foreign = program.jump_eq(SKIPPED, skipped, short);
    let plain = calls(program, profile, target)?;
    Ok(program.jump_ge(X32_BIT, foreign, plain))
}

/// The calls of one kind, by number.
fn calls(program: &mut Program, profile: &Profile, target: &Target) -> Result<Label, ProfileError> {
    let ranges = ranges(profile, target)?;
    Ok(tree(program, &ranges, target.arch.is_wide()))
}

/// Call numbers from `first` to the next range's first, or to the end.
struct Range {
    first: u32,
    decision: Decision,
    /// How many numbers the kernel tries in it when the filter is attached.
    weight: u32,
}

/// Every number from the first, neighbours with the same decision together.
fn ranges(profile: &Profile, target: &Target) -> Result<Vec<Range>, ProfileError> {
    let selection = select(profile, target)?;
    let end = highest(target.arch) + 1;
    let mut ranges: Vec<Range> = Vec::new();
    for (number, decision) in starts(profile, target, selection) {
        if ranges.last().is_none_or(|last| last.decision != decision) {
            ranges.push(Range { first: number, decision, weight: 1 });
        }
    }
    for i in 0..ranges.len() {
        let next = ranges.get(i + 1).map_or(u32::MAX, |range| range.first);
        ranges[i].weight = next.min(end).saturating_sub(ranges[i].first).max(1);
    }
    Ok(ranges)
}

/// The numbers at which the decision may change, with what is decided from there on.
fn starts(profile: &Profile, target: &Target, selection: Selection) -> BTreeMap<u32, Decision> {
    // like runc: what the profile's author can't have known of does not exist, so that programs fall back
    let beyond = match profile.default.refuses() {
        true => Action::Errno(ENOSYS),
        false => profile.default,
    };
    let newest = selection.newest.unwrap_or(u32::MAX);
    let private = if target.arch == Arch::Arm { ARM_PRIVATE } else { u32::MAX };
    let unnamed = |number: u32| match newest < number && number < private {
        true => Decision::always(beyond),
        false => Decision::always(profile.default),
    };
    let mut starts = selection.calls;
    let mut changes = vec![target.arch.first()];
    changes.extend((target.arch == Arch::Arm).then_some(private));
    changes.extend(starts.keys().map(|number| number + 1));
    changes.extend(selection.newest.map(|number| number + 1));
    for number in changes {
        starts.entry(number).or_insert_with(|| unnamed(number));
    }
    starts
}

/// Compares the number, which is loaded, until one range is left.
fn tree(program: &mut Program, ranges: &[Range], wide: bool) -> Label {
    if let [only] = ranges {
        return leaf(program, &only.decision, wide);
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
    let above = tree(program, &ranges[split..], wide);
    let below = tree(program, &ranges[..split], wide);
    program.jump_ge(ranges[split].first, above, below)
}

fn leaf(program: &mut Program, decision: &Decision, wide: bool) -> Label {
    let mut next = program.ret(decision.otherwise.code());
    for (conditions, action) in decision.checks.iter().rev() {
        let mut hit = program.ret(action.code());
        for condition in conditions.iter().rev() {
            hit = check(program, condition, wide, hit, next);
        }
        next = hit;
    }
    next
}

/// Goes to `yes` when the condition holds, else to `no`. Each half of the argument is loaded when needed; where
/// arguments have 32 bits, the lower halves of the condition's numbers count, as libseccomp has it.
fn check(program: &mut Program, condition: &Condition, wide: bool, yes: Label, no: Label) -> Label {
    let index = condition.index;
    let all = if wide { u64::MAX } else { u64::from(u32::MAX) };
    match condition.test {
        Test::Eq(value) => equal(program, index, all, value & all, yes, no),
        Test::Ne(value) => equal(program, index, all, value & all, no, yes),
        Test::Masked { mask, value } => equal(program, index, mask & all, value & all, yes, no),
        Test::Ge(value) => above(program, index, Bound { value, or_same: true, wide }, yes, no),
        Test::Lt(value) => above(program, index, Bound { value, or_same: true, wide }, no, yes),
        Test::Gt(value) => above(program, index, Bound { value, or_same: false, wide }, yes, no),
        Test::Le(value) => above(program, index, Bound { value, or_same: false, wide }, no, yes),
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

/// A number that an argument must be above.
struct Bound {
    value: u64,
    /// Or the number itself.
    or_same: bool,
    /// Both halves are compared.
    wide: bool,
}

fn above(program: &mut Program, index: u8, bound: Bound, yes: Label, no: Label) -> Label {
    let (value_low, value_high) = (bound.value as u32, (bound.value >> 32) as u32);
    let halves = match bound.or_same {
        true => program.jump_ge(value_low, yes, no),
        false => program.jump_gt(value_low, yes, no),
    };
    let halves = program.load(low(index), halves);
    if !bound.wide {
        return halves;
    }
    let same = program.jump_eq(value_high, halves, no);
    let more = program.jump_gt(value_high, yes, same);
    program.load(high(index), more)
}
