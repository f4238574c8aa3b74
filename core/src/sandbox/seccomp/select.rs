//! Which rules decide which call.
//!
//! For one call, the rules with conditions go first, the strictest action before the others (the kernel's
//! order: kill, trap, errno, trace, log, allow); then the strictest rule without conditions; then the
//! profile's default. So the order in the file does not matter, and the special beats the general.

use super::ProfileError;
use super::compile::Target;
use super::profile::{Action, Condition, Profile, Rule, Scope, Test, Unknown};
use super::syscalls::{ARM_PRIVATE, Arch, Lookup, collective, lookup};
use std::collections::BTreeMap;

/// What decides a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Decision {
    /// Tried in order: when every condition holds, this happens.
    pub(super) checks: Vec<(Vec<Condition>, Action)>,
    /// What happens when none of them does.
    pub(super) otherwise: Action,
}

impl Decision {
    pub(super) fn always(action: Action) -> Decision {
        Decision { checks: Vec::new(), otherwise: action }
    }
}

/// The decisions of every call that the profile names.
#[derive(Debug)]
pub(super) struct Selection {
    /// By number.
    pub(super) calls: BTreeMap<u32, Decision>,
    /// The highest number that any rule names, whether it counts here or not: what the author knew of.
    pub(super) newest: Option<u32>,
}

/// What a rule says of one call.
type Saying = (Vec<Condition>, Action);

/// Sorts the rules of a profile out for one target.
pub(super) fn select(profile: &Profile, target: &Target) -> Result<Selection, ProfileError> {
    let mut sayings: BTreeMap<u32, Vec<Saying>> = BTreeMap::new();
    let mut newest = None;
    for rule in &profile.rules {
        let counts = counts(rule, target);
        for (i, name) in rule.names.iter().enumerate() {
            match lookup(name, target.arch) {
                Lookup::Number(number) => {
                    if number < target.arch.first() + ARM_PRIVATE {
                        newest = newest.max(Some(number));
                    }
                    if counts {
                        let all = alternatives(&rule.args).into_iter().map(|args| (args, rule.action));
                        sayings.entry(number).or_default().extend(all);
                    }
                }
                Lookup::Elsewhere => {}
                Lookup::Unknown => unknown(profile, rule, i)?,
            }
            if counts
                && target.arch == Arch::X86
                && let Some((number, saying)) = through_collective(profile, rule, name)
            {
                sayings.entry(number).or_default().push(saying);
            }
        }
    }
    let calls = sayings.into_iter().map(|(number, all)| (number, decide(all, profile.default))).collect();
    Ok(Selection { calls, newest })
}

fn unknown(profile: &Profile, rule: &Rule, at: usize) -> Result<(), ProfileError> {
    // leaving out what would be allowed is safe, leaving out what would be refused is not
    if profile.unknown == Unknown::PassOver || profile.default.strictness() <= rule.action.strictness() {
        return Ok(());
    }
    let message = format!("no such system call: {}; a rule that refuses it can't be kept", rule.names[at]);
    Err(ProfileError::invalid(format!("{}.names[{at}]", rule.path), message))
}

/// What a rule about a call of 32-bit x86 means for the collective that can make the call too, whose filter
/// can't see the call's own arguments: a rule that looks at them counts for all if it is stricter than the
/// default, else not at all.
fn through_collective(profile: &Profile, rule: &Rule, name: &str) -> Option<(u32, Saying)> {
    let (collective, mask, value) = collective(name)?;
    if !rule.args.is_empty() && rule.action.strictness() >= profile.default.strictness() {
        return None;
    }
    let Lookup::Number(number) = lookup(collective, Arch::X86) else { return None };
    Some((number, (vec![Condition { index: 0, test: Test::Masked { mask, value } }], rule.action)))
}

fn counts(rule: &Rule, target: &Target) -> bool {
    let (wanted, unwanted): (&Scope, &Scope) = (&rule.includes, &rule.excludes);
    let machine = |arches: &[String]| arches.iter().any(|arch| arch == target.arch.go_name());
    target.caps & wanted.caps == wanted.caps
        && (wanted.arches.is_empty() || machine(&wanted.arches))
        && wanted.min_kernel.is_none_or(|version| target.kernel >= version)
        && target.caps & unwanted.caps == 0
        && !machine(&unwanted.arches)
        && unwanted.min_kernel.is_none_or(|version| target.kernel < version)
}

fn decide(all: Vec<Saying>, default: Action) -> Decision {
    let (general, special): (Vec<Saying>, Vec<Saying>) =
        all.into_iter().partition(|(args, _)| args.is_empty());
    let otherwise =
        general.iter().map(|(_, action)| *action).min_by_key(|action| action.strictness()).unwrap_or(default);
    let mut checks: Vec<Saying> = Vec::new();
    for saying in special {
        if !checks.contains(&saying) {
            checks.push(saying);
        }
    }
    checks.sort_by_key(|(_, action)| action.strictness());
    while checks.last().is_some_and(|(_, action)| *action == otherwise) {
        checks.pop();
    }
    Decision { checks, otherwise }
}

/// Conditions on different arguments belong together; when two are on the same one, each stands alone.
fn alternatives(args: &[Condition]) -> Vec<Vec<Condition>> {
    let mut seen = [false; 6];
    let twice = args.iter().any(|arg| std::mem::replace(&mut seen[usize::from(arg.index)], true));
    match twice {
        true => args.iter().map(|arg| vec![*arg]).collect(),
        false => vec![args.to_vec()],
    }
}
