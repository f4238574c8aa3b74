//! Which rules decide which call.
//!
//! For one call, the rules with conditions go first, the strictest action before the others (the kernel's
//! order: kill, trap, errno, trace, log, allow); then the strictest rule without conditions; then the
//! profile's default. So the order in the file does not matter, and the special beats the general.

use super::ProfileError;
use super::compile::Target;
use super::profile::{Action, Condition, Profile, Rule, Scope};
use super::syscalls::{Lookup, lookup};
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

/// Sorts the rules of a profile out for one target.
pub(super) fn select(profile: &Profile, target: &Target) -> Result<Selection, ProfileError> {
    let mut rules: BTreeMap<u32, Vec<&Rule>> = BTreeMap::new();
    let mut newest = None;
    for rule in &profile.rules {
        let counts = counts(rule, target);
        for (i, name) in rule.names.iter().enumerate() {
            match lookup(name, target.arch) {
                Lookup::Number(number) => {
                    newest = newest.max(Some(number));
                    if counts {
                        rules.entry(number).or_default().push(rule);
                    }
                }
                Lookup::Elsewhere => {}
                // leaving out what would be allowed is safe, leaving out what would be refused is not
                Lookup::Unknown if profile.default.strictness() <= rule.action.strictness() => {}
                Lookup::Unknown => {
                    let message =
                        format!("no such system call: {name}; a rule that refuses it can't be kept");
                    return Err(ProfileError::invalid(format!("{}.names[{i}]", rule.path), message));
                }
            }
        }
    }
    let calls = rules.into_iter().map(|(number, rules)| (number, decide(&rules, profile.default))).collect();
    Ok(Selection { calls, newest })
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

fn decide(rules: &[&Rule], default: Action) -> Decision {
    let unconditional = rules.iter().filter(|rule| rule.args.is_empty()).map(|rule| rule.action);
    let otherwise = unconditional.min_by_key(|action| action.strictness()).unwrap_or(default);
    let mut checks: Vec<(Vec<Condition>, Action)> = Vec::new();
    for rule in rules.iter().filter(|rule| !rule.args.is_empty()) {
        for all in alternatives(&rule.args) {
            if !checks.contains(&(all.clone(), rule.action)) {
                checks.push((all, rule.action));
            }
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
