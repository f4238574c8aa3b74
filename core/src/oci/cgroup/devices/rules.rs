//! Device rules as one state: a default, and exceptions from it. That is what v1's controller keeps, so both
//! versions behave alike.

use super::FIELD;
use crate::{Error, ErrorKind, Result};
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use std::collections::BTreeMap;
use std::fmt;

/// Ways of access as bits, those of `BPF_DEVCG_ACC_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Access(pub(super) u32);

/// Stands for all devices as a kind, and for nothing as an access; configurations have it there ("rwa") and runc
/// leaves it out, so it is worth a warning only. Every other letter is an error.
const NO_ACCESS: char = 'a';

impl Access {
    pub(super) const MKNOD: Access = Access(1);
    pub(super) const READ: Access = Access(2);
    pub(super) const WRITE: Access = Access(4);
    pub(super) const ALL: Access = Access(7);

    fn parse(text: &str) -> Option<Access> {
        text.chars().try_fold(Access(0), |all, c| {
            let one = match c {
                'r' => Access::READ,
                'w' => Access::WRITE,
                'm' => Access::MKNOD,
                NO_ACCESS => Access(0),
                _ => return None,
            };
            Some(Access(all.0 | one.0))
        })
    }

    fn without(self, other: Access) -> Access {
        Access(self.0 & !other.0)
    }

    fn meets(self, other: Access) -> bool {
        self.0 & other.0 != 0
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(Access::READ, "r"), (Access::WRITE, "w"), (Access::MKNOD, "m")];
        letters.into_iter().filter(|(one, _)| self.meets(*one)).try_for_each(|(_, c)| f.write_str(c))
    }
}

/// What kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Kind {
    Block,
    Char,
}

/// Which devices; `None` is every number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Devices {
    pub(in super::super) kind: Kind,
    pub(in super::super) major: Option<u32>,
    pub(in super::super) minor: Option<u32>,
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        let kind = if self.kind == Kind::Block { 'b' } else { 'c' };
        write!(f, "{kind} {}:{}", number(self.major), number(self.minor))
    }
}

/// What is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct State {
    /// Without exceptions everything is allowed, else nothing.
    pub(in super::super) allows: bool,
    pub(in super::super) exceptions: BTreeMap<Devices, Access>,
}

/// Every container may use these, as other runtimes let it: it may make nodes, and open the harmless ones.
const ALWAYS: &[(Kind, Option<u32>, Option<u32>, Access)] = &[
    (Kind::Char, None, None, Access::MKNOD),
    (Kind::Block, None, None, Access::MKNOD),
    (Kind::Char, Some(1), Some(3), Access::ALL),
    (Kind::Char, Some(1), Some(5), Access::ALL),
    (Kind::Char, Some(1), Some(7), Access::ALL),
    (Kind::Char, Some(1), Some(8), Access::ALL),
    (Kind::Char, Some(1), Some(9), Access::ALL),
    (Kind::Char, Some(5), Some(0), Access::ALL),
    (Kind::Char, Some(5), Some(2), Access::ALL),
    (Kind::Char, Some(10), Some(200), Access::ALL),
    (Kind::Char, Some(136), None, Access::ALL),
];

/// What is odd about rules, but no error.
pub(in super::super) fn warnings(rules: &[LinuxDeviceCgroup]) -> Vec<String> {
    let odd = |rule: &LinuxDeviceCgroup| {
        let is_for_all = matches!(rule.typ(), None | Some(LinuxDeviceType::A));
        !is_for_all && rule.access().as_deref().is_some_and(|access| access.contains(NO_ACCESS))
    };
    let of = rules.iter().enumerate().filter(|(_, rule)| odd(rule));
    of.map(|(i, _)| format!("{FIELD}[{i}].access: there is no access {NO_ACCESS:?}: it is left out"))
        .collect()
}

impl State {
    /// The rules of a configuration in their order, beginning with nothing, and what is always allowed.
    pub(in super::super) fn build(rules: &[LinuxDeviceCgroup]) -> Result<State> {
        let mut state = State::default();
        for (i, rule) in rules.iter().enumerate() {
            state.add(rule).map_err(|text| {
                let field = format!("{FIELD}[{i}]");
                Error::new(ErrorKind::InvalidArgument, text).with_context("field", field)
            })?;
        }
        for (kind, major, minor, access) in ALWAYS {
            let devices = Devices { kind: *kind, major: *major, minor: *minor };
            // A default never fails: with a wildcard that denies it, it is denied.
            let _ = state.change(true, devices, *access);
        }
        Ok(state)
    }

    /// Everything is allowed, always.
    pub(in super::super) fn is_free(&self) -> bool {
        self.allows && self.exceptions.is_empty()
    }

    /// From `devices.list` of v1: without the exceptions of a cgroup that allows, which it doesn't tell.
    pub(super) fn listed(list: &str) -> Option<State> {
        let mut state = State::default();
        for line in list.lines().filter(|l| !l.trim().is_empty()) {
            let mut fields = line.split([' ', ':']);
            let kind = match fields.next()? {
                "a" => return Some(State { allows: true, exceptions: BTreeMap::new() }),
                "b" => Kind::Block,
                "c" => Kind::Char,
                _ => return None,
            };
            let mut number = || match fields.next()? {
                "*" => Some(None),
                n => n.parse().ok().map(Some),
            };
            let devices = Devices { kind, major: number()?, minor: number()? };
            let access = Access::parse(fields.next()?)?;
            let all = state.exceptions.entry(devices).or_insert(Access(0));
            all.0 |= access.0;
        }
        Some(state)
    }

    fn add(&mut self, rule: &LinuxDeviceCgroup) -> Result<(), String> {
        let kind = match rule.typ() {
            None | Some(LinuxDeviceType::A) => {
                // Whatever else such a rule says, the kernel takes it for every device and access.
                *self = State { allows: rule.allow(), exceptions: BTreeMap::new() };
                return Ok(());
            }
            Some(LinuxDeviceType::B) => Kind::Block,
            Some(LinuxDeviceType::C | LinuxDeviceType::U) => Kind::Char,
            Some(LinuxDeviceType::P) => return Err("pipes are no devices: the type must be a, b or c".into()),
        };
        let number = |n: Option<i64>, name: &str| match n {
            None | Some(-1) => Ok(None),
            Some(n) => u32::try_from(n).map(Some).map_err(|_| format!("{n} is no {name} number")),
        };
        let (major, minor) = (number(rule.major(), "major")?, number(rule.minor(), "minor")?);
        let text = rule.access().as_deref().unwrap_or_default();
        let access = Access::parse(text).filter(|a| !a.is_empty());
        let access = access.ok_or_else(|| format!("the access {text:?} must be made of r, w and m"))?;
        self.change(rule.allow(), Devices { kind, major, minor }, access)
    }

    /// One rule. Against the default it is an exception; with it, it takes one back.
    fn change(&mut self, allow: bool, devices: Devices, access: Access) -> Result<(), String> {
        if allow != self.allows {
            self.exceptions.entry(devices).or_insert(Access(0)).0 |= access.0;
            return Ok(());
        }
        // A wider exception would stay in force; the kernel says nothing about that, and so one feels safe.
        for wider in [
            Devices { major: None, ..devices },
            Devices { minor: None, ..devices },
            Devices { major: None, minor: None, ..devices },
        ] {
            let held = self.exceptions.get(&wider).copied().unwrap_or(Access(0));
            if wider != devices && held.meets(access) {
                return Err(format!(
                    "{devices} {access} can't be {}, because an earlier rule for {wider} {held} covers more",
                    if allow { "allowed" } else { "denied" }
                ));
            }
        }
        if let Some(held) = self.exceptions.get_mut(&devices) {
            *held = held.without(access);
            if held.is_empty() {
                self.exceptions.remove(&devices);
            }
        }
        Ok(())
    }

    /// The lines for v1's files, allow or deny, that lead from one state to this one without taking away in
    /// between what both allow, where that can be.
    pub(super) fn from(&self, old: &State) -> Vec<(bool, String)> {
        let mut lines = Vec::new();
        // Of a cgroup that allows, the exceptions are not known.
        let keep = !old.allows && !self.allows;
        if !(keep || old.is_free() && self.is_free()) {
            lines.push((self.allows, "a".to_owned()));
        }
        let none = BTreeMap::new();
        let held = if keep { &old.exceptions } else { &none };
        let get = |map: &BTreeMap<Devices, Access>, key| map.get(key).copied().unwrap_or(Access(0));
        for (devices, access) in held {
            let lost = access.without(get(&self.exceptions, devices));
            if !lost.is_empty() {
                lines.push((self.allows, format!("{devices} {lost}")));
            }
        }
        for (devices, access) in &self.exceptions {
            let gained = access.without(get(held, devices));
            if !gained.is_empty() {
                lines.push((!self.allows, format!("{devices} {gained}")));
            }
        }
        lines
    }

    /// Whether an access is allowed: what both controllers do.
    #[cfg(test)]
    pub(super) fn permits(&self, kind: Kind, major: u32, minor: u32, access: Access) -> bool {
        let fits = |d: &Devices| {
            d.kind == kind && d.major.is_none_or(|n| n == major) && d.minor.is_none_or(|n| n == minor)
        };
        let mut fitting = self.exceptions.iter().filter(|(d, _)| fits(d)).map(|(_, a)| *a);
        match self.allows {
            true => !fitting.any(|denied| denied.meets(access)),
            false => fitting.any(|allowed| access.without(allowed).is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(json: &str) -> Result<State> {
        State::build(&serde_json::from_str::<Vec<LinuxDeviceCgroup>>(json).unwrap())
    }

    #[test]
    fn rules_begin_with_nothing_and_the_harmless_devices() {
        let state = state("[]").unwrap();
        assert!(!state.allows && state.exceptions.len() == ALWAYS.len());
        assert!(state.permits(Kind::Char, 1, 3, Access::ALL));
        assert!(state.permits(Kind::Block, 8, 0, Access::MKNOD));
        assert!(!state.permits(Kind::Block, 8, 0, Access::READ));
        assert!(state.permits(Kind::Char, 136, 77, Access::READ));
    }

    #[test]
    fn later_rules_change_earlier_ones() {
        let s = state(
            r#"[{"allow":false,"access":"rwm"},{"allow":true,"type":"b","major":8,"minor":0,"access":"rw"},
                {"allow":false,"type":"b","major":8,"minor":0,"access":"w"}]"#,
        )
        .unwrap();
        assert!(s.permits(Kind::Block, 8, 0, Access::READ) && !s.permits(Kind::Block, 8, 0, Access::WRITE));
        let s = state(
            r#"[{"allow":true,"type":"a","access":"rwm"},{"allow":false,"type":"b","major":8,"access":"w"}]"#,
        )
        .unwrap();
        assert!(s.permits(Kind::Block, 8, 5, Access::READ) && !s.permits(Kind::Block, 8, 5, Access(6)));
        assert!(s.permits(Kind::Char, 5, 5, Access::ALL));
        assert!(state(r#"[{"allow":true,"access":"rwm"}]"#).unwrap().is_free());
    }

    #[test]
    fn holes_in_wildcards_and_wrong_values_are_errors_that_name_the_rule() {
        for (json, i) in [
            (
                r#"[{"allow":true,"type":"c","major":5,"access":"rw"},
                 {"allow":false,"type":"c","major":5,"minor":1,"access":"r"}]"#,
                1,
            ),
            (r#"[{"allow":true,"type":"p","major":5,"access":"rw"}]"#, 0),
            (r#"[{"allow":true,"type":"c","major":-2,"access":"rw"}]"#, 0),
            (r#"[{"allow":true,"type":"c","major":1,"access":"rx"}]"#, 0),
            (r#"[{"allow":true,"type":"c","major":1}]"#, 0),
        ] {
            let e = state(json).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidArgument);
            assert!(e.to_string().contains(&format!("linux.resources.devices[{i}]")), "{e}");
        }
    }

    #[test]
    fn an_access_a_is_left_out_with_a_warning() {
        let json = r#"[{"allow":false,"access":"rwma"},{"allow":true,"type":"c","major":1,"minor":11,"access":"rwa"}]"#;
        let rules: Vec<LinuxDeviceCgroup> = serde_json::from_str(json).unwrap();
        let state = State::build(&rules).unwrap();
        assert!(
            state.permits(Kind::Char, 1, 11, Access(6)) && !state.permits(Kind::Char, 1, 12, Access::READ)
        );
        // Of a rule for everything no letter counts.
        let warning = "linux.resources.devices[1].access: there is no access 'a': it is left out";
        assert_eq!(warnings(&rules), [warning]);
        assert!(warnings(&[]).is_empty());
        // There is nothing else in it: an access is missing.
        assert!(self::state(r#"[{"allow":true,"type":"c","major":1,"access":"a"}]"#).is_err());
    }

    #[test]
    fn v1_moves_from_what_is_listed_with_the_fewest_lines() {
        let fresh = State::listed("a *:* rwm\n").unwrap();
        let wanted = state("[]").unwrap();
        let lines = wanted.from(&fresh);
        assert_eq!(lines[0], (false, "a".into()));
        assert_eq!(lines.len(), 1 + ALWAYS.len());
        let list: String =
            wanted.exceptions.iter().map(|(d, a)| format!("{d} {a}\n")).collect::<Vec<_>>().concat();
        let same = State::listed(&list).unwrap();
        assert_eq!(same, wanted);
        assert!(wanted.from(&same).is_empty());
        let more = state(r#"[{"allow":true,"type":"b","major":8,"minor":0,"access":"rm"}]"#).unwrap();
        assert_eq!(more.from(&same), [(true, "b 8:0 rm".into())]);
        assert_eq!(same.from(&more), [(false, "b 8:0 rm".into())]);
        assert!(State::listed("x 1:1 r").is_none());
    }
}
