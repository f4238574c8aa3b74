//! From a configuration's filter to a profile.

use crate::sandbox::seccomp::{
    Action, Arch, Condition, Profile, ProfileError, Rule, Scope, Test, Unknown, flags,
};
use oci_spec::runtime::{
    Arch as OciArch, LinuxSeccomp, LinuxSeccompAction as OciAction, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator as Op, LinuxSyscall,
};

type Result<T> = std::result::Result<T, ProfileError>;

/// `EPERM`, what a refused call fails with unless the configuration says otherwise.
const EPERM: u16 = 1;
/// The kernel's highest error number.
const MAX_ERRNO: u32 = 4095;

/// The profile of a configuration.
pub(super) fn profile(seccomp: &LinuxSeccomp) -> Result<Profile> {
    let default = action(seccomp.default_action(), seccomp.default_errno_ret(), "defaultErrnoRet")?;
    let rules = seccomp.syscalls().iter().flatten().enumerate();
    Ok(Profile {
        machines: seccomp.architectures().iter().flatten().filter_map(machine).collect(),
        flags: seccomp
            .flags()
            .as_deref()
            .map_or(flags::SPEC_ALLOW, |list| list.iter().map(flag).fold(0, |a, b| a | b)),
        unknown: Unknown::PassOver,
        rules: rules.map(|(i, call)| rule(i, call)).collect::<Result<_>>()?,
        ..Profile::new(default)
    })
}

/// An action; `field` is where its error number stands.
fn action(action: OciAction, errno: Option<u32>, field: &str) -> Result<Action> {
    let number = match errno {
        Some(number) if number > MAX_ERRNO => {
            return Err(ProfileError::invalid(
                field,
                format!("{number} is no error number: the highest is {MAX_ERRNO}"),
            ));
        }
        Some(number) if !matches!(action, OciAction::ScmpActErrno | OciAction::ScmpActTrace) => {
            return Err(ProfileError::invalid(field, format!("{number}: {action} takes no error number")));
        }
        Some(number) => number as u16,
        None => EPERM,
    };
    Ok(match action {
        OciAction::ScmpActKill | OciAction::ScmpActKillThread => Action::KillThread,
        OciAction::ScmpActKillProcess => Action::KillProcess,
        OciAction::ScmpActTrap => Action::Trap,
        OciAction::ScmpActErrno => Action::Errno(number),
        OciAction::ScmpActNotify => Action::Notify,
        OciAction::ScmpActTrace => Action::Trace(number),
        OciAction::ScmpActLog => Action::Log,
        OciAction::ScmpActAllow => Action::Allow,
    })
}

/// All actions.
pub(in crate::oci) const ACTIONS: [OciAction; 9] = [
    OciAction::ScmpActAllow,
    OciAction::ScmpActErrno,
    OciAction::ScmpActKill,
    OciAction::ScmpActKillProcess,
    OciAction::ScmpActKillThread,
    OciAction::ScmpActLog,
    OciAction::ScmpActNotify,
    OciAction::ScmpActTrace,
    OciAction::ScmpActTrap,
];

/// All comparisons.
pub(in crate::oci) const OPERATORS: [Op; 7] = [
    Op::ScmpCmpEq,
    Op::ScmpCmpGe,
    Op::ScmpCmpGt,
    Op::ScmpCmpLe,
    Op::ScmpCmpLt,
    Op::ScmpCmpMaskedEq,
    Op::ScmpCmpNe,
];

/// The kinds of calls of machines that this library runs on.
pub(in crate::oci) const MACHINES: [(OciArch, Arch); 5] = [
    (OciArch::ScmpArchX86, Arch::X86),
    (OciArch::ScmpArchX86_64, Arch::X86_64),
    (OciArch::ScmpArchX32, Arch::X32),
    (OciArch::ScmpArchArm, Arch::Arm),
    (OciArch::ScmpArchAarch64, Arch::Aarch64),
];

/// Flags of filters, and the kernel's bits for them.
pub(in crate::oci) const FLAGS: [(LinuxSeccompFilterFlag, u32); 4] = [
    (LinuxSeccompFilterFlag::SeccompFilterFlagTsync, flags::TSYNC),
    (LinuxSeccompFilterFlag::SeccompFilterFlagLog, flags::LOG),
    (LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow, flags::SPEC_ALLOW),
    (LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv, flags::WAIT_KILLABLE_RECV),
];

/// A kind of calls; `None`: of another machine, whose calls never come.
fn machine(arch: &OciArch) -> Option<Arch> {
    MACHINES.iter().find(|(known, _)| known == arch).map(|(_, machine)| *machine)
}

fn flag(flag: &LinuxSeccompFilterFlag) -> u32 {
    FLAGS.iter().find(|(known, _)| known == flag).map_or(0, |(_, bits)| *bits)
}

fn rule(index: usize, call: &LinuxSyscall) -> Result<Rule> {
    let path = format!("syscalls[{index}]");
    if call.names().is_empty() {
        return Err(ProfileError::invalid(format!("{path}.names"), "a rule needs the name of a call"));
    }
    if let Some(at) = call.names().iter().position(String::is_empty) {
        return Err(ProfileError::invalid(
            format!("{path}.names[{at}]"),
            "the name of a call is needed here",
        ));
    }
    let args = call.args().iter().flatten().enumerate();
    Ok(Rule {
        action: action(call.action(), call.errno_ret(), &format!("{path}.errnoRet"))?,
        names: call.names().clone(),
        args: args.map(|(i, arg)| condition(arg, &format!("{path}.args[{i}]"))).collect::<Result<_>>()?,
        includes: Scope::default(),
        excludes: Scope::default(),
        path,
    })
}

fn condition(arg: &LinuxSeccompArg, path: &str) -> Result<Condition> {
    let index = match u8::try_from(arg.index()) {
        Ok(index @ 0..=5) => index,
        _ => {
            let message = format!("{}: a call has six arguments, from 0 to 5", arg.index());
            return Err(ProfileError::invalid(format!("{path}.index"), message));
        }
    };
    let (value, second) = (arg.value(), arg.value_two().unwrap_or(0));
    let test = match arg.op() {
        Op::ScmpCmpNe => Test::Ne(value),
        Op::ScmpCmpLt => Test::Lt(value),
        Op::ScmpCmpLe => Test::Le(value),
        Op::ScmpCmpEq => Test::Eq(value),
        Op::ScmpCmpGe => Test::Ge(value),
        Op::ScmpCmpGt => Test::Gt(value),
        // bits of the second value outside the mask do not count, as in libseccomp
        Op::ScmpCmpMaskedEq => Test::Masked { mask: value, value: second & value },
    };
    Ok(Condition { index, test })
}
