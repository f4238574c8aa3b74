//! Programs against a plain reading of the rules, and against the kernel.

use super::compile::{Target, compile};
use super::interpreter::{Call, read, run, verify};
use super::profile::{Action, Condition, Profile, Rule, Test};
use super::syscalls::{Arch, Lookup, lookup};
use super::{ProfileError, default_filter, default_profile};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::os::unix::process::{CommandExt, ExitStatusExt};

const DEFAULT_CAPS: u64 = 0x8004_05fb;
const ENOSYS: u32 = 0x0005_0026;
const EPERM: u32 = 0x0005_0001;
const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;

/// Machines that a kernel can be built for, and this library with it.
const NATIVE: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

fn target(arch: Arch, caps: u64) -> Target {
    Target { arch, caps, kernel: (6, 1) }
}

fn holds(c: &Condition, args: &[u64; 6], arch: Arch) -> bool {
    let all = if matches!(arch, Arch::X86 | Arch::Arm) { 0xffff_ffff } else { u64::MAX };
    let arg = args[usize::from(c.index)] & all;
    match c.test {
        Test::Ne(v) => arg != v & all,
        Test::Lt(v) => arg < v & all,
        Test::Le(v) => arg <= v & all,
        Test::Eq(v) => arg == v & all,
        Test::Ge(v) => arg >= v & all,
        Test::Gt(v) => arg > v & all,
        Test::Masked { mask, value } => arg & mask & all == value & all,
    }
}

fn matches(rule: &Rule, args: &[u64; 6], arch: Arch) -> bool {
    let twice = rule.args.iter().any(|a| rule.args.iter().filter(|b| b.index == a.index).count() > 1);
    match twice {
        true => rule.args.iter().any(|c| holds(c, args, arch)),
        false => rule.args.iter().all(|c| holds(c, args, arch)),
    }
}

fn counts(r: &Rule, t: &Target) -> bool {
    let caps = r.includes.caps & !t.caps == 0 && r.excludes.caps & t.caps == 0;
    let arch = t.arch.go_name().to_owned();
    let arches = r.includes.arches.is_empty() || r.includes.arches.contains(&arch);
    let kernel = r.includes.min_kernel.is_none_or(|v| t.kernel >= v);
    let not = r.excludes.arches.contains(&arch) || r.excludes.min_kernel.is_some_and(|v| t.kernel >= v);
    caps && arches && kernel && !not
}

/// The rules of a profile about one kind of calls, to be read one by one.
struct Plain<'a> {
    profile: &'a Profile,
    target: &'a Target,
    newest: Option<u32>,
    rules: Vec<(u32, Rule)>,
}

impl<'a> Plain<'a> {
    fn new(profile: &'a Profile, target: &'a Target) -> Self {
        let mut rules = Vec::new();
        let mut newest = None;
        for (rule, name) in profile.rules.iter().flat_map(|r| r.names.iter().map(move |name| (r, name))) {
            if let Lookup::Number(number) = lookup(name, target.arch) {
                newest = newest.max((number & 0x000f_0000 == 0).then_some(number));
                rules.push((number, rule.clone()));
            }
            let (sub, mask) = match name.as_str() {
                "socket" => (1, 0xffff_ffff),
                "shmget" => (23, 0xffff),
                _ => continue,
            };
            let stricter = rule.action.strictness() < profile.default.strictness();
            if target.arch == Arch::X86 && (rule.args.is_empty() || stricter) {
                let args = vec![Condition { index: 0, test: Test::Masked { mask, value: sub } }];
                rules.push((if sub == 1 { 102 } else { 117 }, Rule { args, ..rule.clone() }));
            }
        }
        rules.retain(|(_, rule)| counts(rule, target));
        Plain { profile, target, newest, rules }
    }

    /// What a call with this number should get, for each argument list.
    fn expected(&self, number: u32, lists: &[[u64; 6]]) -> Vec<u32> {
        let same = |action: Action| vec![action.code(); lists.len()];
        let private = self.target.arch == Arch::Arm && number >= 0x000f_0000;
        if self.newest.is_some_and(|n| number > n) && self.profile.default.refuses() && !private {
            return same(Action::Errno(38));
        }
        let about: Vec<&Rule> = self.rules.iter().filter(|(n, _)| *n == number).map(|(_, r)| r).collect();
        let strictest = |wanted: &dyn Fn(&Rule) -> bool| {
            about.iter().filter(|r| wanted(r)).map(|r| r.action).min_by_key(|a| a.strictness())
        };
        let general = strictest(&|r| r.args.is_empty()).unwrap_or(self.profile.default);
        let arch = self.target.arch;
        let one =
            |args| strictest(&|r| !r.args.is_empty() && matches(r, args, arch)).unwrap_or(general).code();
        lists.iter().map(one).collect()
    }
}

/// Argument lists that stand on, beside and far from what a profile compares with.
fn interesting(profile: &Profile) -> Vec<[u64; 6]> {
    let mut lists = vec![[0; 6], [u64::MAX; 6], [1 << 32; 6], [0xffff_ffff; 6]];
    for c in profile.rules.iter().flat_map(|r| &r.args) {
        let (Test::Ne(v) | Test::Lt(v) | Test::Le(v) | Test::Eq(v) | Test::Ge(v) | Test::Gt(v)) = c.test
        else {
            let Test::Masked { mask, value } = c.test else { continue };
            for v in [value, value | !mask, value ^ (mask & mask.wrapping_neg()), !value] {
                lists.push([v; 6]);
            }
            continue;
        };
        for v in [v, v.wrapping_add(1), v.wrapping_sub(1), v ^ 1 << 32, v ^ 1 << 63, v << 32] {
            lists.push([v; 6]);
            let mut single = [0x55; 6];
            single[usize::from(c.index)] = v;
            lists.push(single);
        }
    }
    lists
}

/// Compares a program with the rules, for every kind of calls, every number and many arguments.
fn agree(profile: &Profile, t: &Target, lists: &[[u64; 6]]) {
    let program = read(&compile(profile, t).expect("it compiles"));
    verify(&program);
    let odd = [0x000e_ffff, 0x000f_0000, 0x000f_0005, 0x3fff_ffff];
    for arch in Arch::ALL {
        let kind = Target { arch, ..*t };
        let plain = Plain::new(profile, &kind);
        let may = arch == t.arch || (t.arch.runs(arch) && profile.machines.contains(&arch));
        for number in (0..=600).chain(odd) {
            let number = arch.first() | number;
            let expected = if may { plain.expected(number, lists) } else { vec![KILL; lists.len()] };
            for (args, expected) in lists.iter().zip(expected) {
                let call = Call { arch: arch.audit(), number, args: *args };
                assert_eq!(run(&program, &call).0, expected, "{t:?} {arch:?} {call:x?}");
            }
        }
    }
    // a call that a tracer has taken away
    let expected = match t.arch {
        Arch::X86_64 => profile.default.code(),
        _ => Plain::new(profile, t).expected(u32::MAX, &[[0; 6]])[0],
    };
    let call = Call { arch: t.arch.audit(), number: u32::MAX, args: [0; 6] };
    assert_eq!(run(&program, &call).0, expected);
    let call = Call { arch: 0, number: 1, args: [0; 6] };
    assert_eq!(run(&program, &call).0, KILL);
}

#[test]
fn the_default_profile_means_what_it_says() {
    let mut lists = interesting(default_profile());
    lists.sort_unstable();
    lists.dedup();
    for arch in NATIVE {
        for caps in [DEFAULT_CAPS, 0, u64::MAX, DEFAULT_CAPS | 1 << 21, 1 << 39 | 1 << 38] {
            agree(default_profile(), &target(arch, caps), &lists);
        }
    }
}

#[test]
fn the_default_profile_is_short_and_shallow() {
    for arch in NATIVE {
        let t = target(arch, DEFAULT_CAPS);
        let program = read(&compile(default_profile(), &t).expect("it compiles"));
        assert!(program.len() < 250, "{} instructions on {arch:?}", program.len());
        let call = |number| Call { arch: arch.audit(), number, args: [0; 6] };
        let steps: Vec<usize> = (0..470).map(|number| run(&program, &call(number)).1).collect();
        let mean = steps.iter().sum::<usize>() as f64 / steps.len() as f64;
        println!("{arch:?}: {} instructions, {mean:.1} steps a call", program.len());
        assert!(mean < 14.0, "{mean} steps a call on {arch:?}");
    }
}

#[test]
fn the_default_profile_refuses_what_hardening_names() {
    let program = read(&default_filter(DEFAULT_CAPS).expect("it compiles"));
    let arch = Arch::native().expect("known").audit();
    let answer = |name: &str, first: u64| {
        let Lookup::Number(number) = lookup(name, Arch::native().expect("known")) else { panic!("{name}") };
        run(&program, &Call { arch, number, args: [first, 0, 0, 0, 0, 0] }).0
    };
    for name in ["io_uring_setup", "userfaultfd", "bpf", "keyctl", "open_by_handle_at", "mount", "unshare"] {
        assert_eq!(answer(name, 0), EPERM, "{name}");
    }
    for name in ["clone3", "memfd_secret", "io_pgetevents"] {
        assert_eq!(answer(name, 0), ENOSYS, "{name}");
    }
    for family in [38, 40, 1 << 32 | 40, 1 << 32 | 2] {
        assert_eq!(answer("socket", family), 0x0005_0061, "address family {family}");
    }
    for name in ["read", "execve", "chroot", "ptrace", "statx", "futex", "close_range"] {
        assert_eq!(answer(name, 0), ALLOW, "{name}");
    }
    assert_eq!(answer("clone", 0x1000_0000 | 17), EPERM);
    assert_eq!(answer("clone", 0x0120_0011), ALLOW);
    assert!(default_filter(DEFAULT_CAPS).is_ok_and(|again| read(&again) == program));
}

#[test]
fn other_peoples_profiles_compile() {
    for path in ["/usr/share/containers/seccomp.json", "/etc/docker/seccomp.json"] {
        let Ok(text) = std::fs::read_to_string(path) else {
            println!("skipped: no {path}");
            continue;
        };
        let profile = Profile::parse(&text).expect("it parses");
        agree(&profile, &target(Arch::X86_64, DEFAULT_CAPS), &interesting(&profile));
    }
}

fn broken(profile: &Value) -> ProfileError {
    let parsed = Profile::parse(&profile.to_string());
    match parsed.and_then(|p| compile(&p, &target(Arch::X86_64, 0))) {
        Err(error) => error,
        Ok(_) => panic!("{profile} was taken"),
    }
}

#[test]
fn errors_name_the_place() {
    let rule = |rule: Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL"}, rule]});
    let args = |arg: Value| rule(json!({"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [arg]}));
    for (profile, path) in [
        (json!({}), "defaultAction"),
        (json!([]), ""),
        (json!({"defaultAction": "allow"}), "defaultAction"),
        (json!({"defaultAction": 1}), "defaultAction"),
        (json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}), "defaultErrnoRet"),
        (json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EPERM"}), "defaultErrno"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["x86"]}), "architectures[0]"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"]}), "flags[0]"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": {}}), "syscalls"),
        (rule(json!("read")), "syscalls[1]"),
        (rule(json!({"names": ["read"]})), "syscalls[1]"),
        (rule(json!({"action": "SCMP_ACT_ALLOW"})), "syscalls[1]"),
        (rule(json!({"names": ["a"], "action": "SCMP_ACT_DENY"})), "syscalls[1].action"),
        (rule(json!({"names": ["read", 3], "action": "SCMP_ACT_ALLOW"})), "syscalls[1].names[1]"),
        (rule(json!({"names": ["read", "wriet"], "action": "SCMP_ACT_ERRNO"})), "syscalls[1].names[1]"),
        (args(json!({"index": 6, "value": 1, "op": "SCMP_CMP_EQ"})), "syscalls[1].args[0].index"),
        (args(json!({"index": 0, "value": -1, "op": "SCMP_CMP_EQ"})), "syscalls[1].args[0].value"),
        (args(json!({"index": 0, "value": 1, "op": "SCMP_CMP_IS"})), "syscalls[1].args[0].op"),
        (
            rule(json!({"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["SYS_ADMIN"]}})),
            "syscalls[1].includes.caps[0]",
        ),
        (
            rule(json!({"names": ["read"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "five"}})),
            "syscalls[1].excludes.minKernel",
        ),
    ] {
        let error = broken(&profile);
        assert_eq!((error.path.as_str(), error.unsupported), (path, false), "{profile}: {error}");
    }
    let error = broken(&json!({"defaultAction": "SCMP_ACT_NOTIFY"}));
    assert!(error.unsupported && error.path == "defaultAction");
    assert_eq!(crate::Error::from(error).kind(), crate::ErrorKind::Unsupported);
}

#[test]
fn unknown_names_are_passed_over_where_that_is_safe() {
    for (default, action) in [("SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW"), ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")] {
        let text =
            json!({"defaultAction": default, "syscalls": [{"names": ["call_of_2040"], "action": action}]});
        let compiled = compile(&Profile::parse(&text.to_string()).expect("parses"), &target(Arch::X86_64, 0));
        assert_eq!(compiled.is_ok(), default == "SCMP_ACT_ERRNO", "{text}");
    }
}

/// Names that exist on both machines, on one, and on none.
const NAMES: [&str; 14] = [
    "read",
    "write",
    "openat",
    "socket",
    "clone",
    "statx",
    "futex",
    "mseal",
    "open",
    "socketcall",
    "getpid",
    "execveat",
    "shmget",
    "set_tls",
];

fn any_condition() -> impl Strategy<Value = Value> {
    let edge = [0, 1, 2, 0x7fff_ffff, 0xffff_ffff, 1 << 32, (1 << 32) + 1, u64::MAX - 1, u64::MAX];
    let value = prop_oneof![prop::sample::select(edge.to_vec()), any::<u64>()];
    let op = prop::sample::select(vec!["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]);
    (0..6u8, value.clone(), value, op).prop_map(|(index, value, second, op)| {
        json!({"index": index, "value": value, "valueTwo": second, "op": format!("SCMP_CMP_{op}")})
    })
}

fn any_action() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["KILL", "KILL_PROCESS", "TRAP", "ERRNO", "TRACE", "LOG", "ALLOW"])
}

fn any_rule() -> impl Strategy<Value = Value> {
    let names = prop::sample::subsequence(NAMES.to_vec(), 1..4);
    let args = prop::collection::vec(any_condition(), 0..4);
    let cap = prop::option::of(prop::sample::select(crate::sandbox::capabilities::NAMES[..3].to_vec()));
    (names, any_action(), 0..40u16, args, cap.clone(), cap).prop_map(
        |(names, action, errno, args, yes, no)| {
            json!({
                "names": names, "action": format!("SCMP_ACT_{action}"), "errnoRet": errno, "args": args,
                "includes": {"caps": yes.into_iter().collect::<Vec<_>>()},
                "excludes": {"caps": no.into_iter().collect::<Vec<_>>()},
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_profile_means_what_it_says(
        default in any_action(), rules in prop::collection::vec(any_rule(), 0..12), caps in 0..8u64,
        machines in prop::sample::subsequence(vec!["X86_64", "X86", "X32", "ARM", "MIPS"], 0..5),
        notify in any::<bool>(),
    ) {
        let machines: Vec<String> = machines.iter().map(|m| format!("SCMP_ARCH_{m}")).collect();
        let profile = json!({
            "defaultAction": format!("SCMP_ACT_{default}"), "syscalls": rules, "architectures": machines,
        });
        let mut profile = Profile::parse(&profile.to_string()).expect("it parses");
        // rules of one strictness may differ in their number only; which of those wins is not promised
        for rule in &mut profile.rules {
            rule.action = match rule.action {
                Action::Errno(_) => Action::Errno(7),
                Action::Trace(_) if notify => Action::Notify,
                Action::Trace(_) => Action::Trace(7),
                other => other,
            };
        }
        let lists = interesting(&profile);
        for arch in NATIVE {
            agree(&profile, &target(arch, caps), &lists);
        }
    }
}

#[test]
fn long_programs_jump_far_and_too_long_ones_are_refused() {
    let conditions = |n: u64| -> Vec<Value> {
        (0..n).map(|i| json!({"index": 0, "value": (i << 32) | (i * 3), "op": "SCMP_CMP_EQ"})).collect()
    };
    let profile = |n: u64| {
        let rules: Vec<Value> = ["read", "getpid", "statx"]
            .iter()
            .map(|name| json!({"names": [name], "action": "SCMP_ACT_ALLOW", "args": conditions(n)}))
            .collect();
        let text = json!({"defaultAction": "SCMP_ACT_TRAP", "syscalls": rules}).to_string();
        Profile::parse(&text).expect("it parses")
    };
    let long = profile(300);
    assert!(compile(&long, &target(Arch::X86_64, 0)).expect("it fits").len() > 3000 * 8);
    let lists = interesting(&long);
    agree(&long, &target(Arch::X86_64, 0), &lists[..200]);
    let error = compile(&profile(500), &target(Arch::X86_64, 0)).expect_err("too long");
    assert_eq!(error.path, "syscalls");
}

/// Runs `check` in a child under the default filter, then `/bin/true`.
fn in_a_filtered_child(check: fn() -> bool) -> std::process::ExitStatus {
    let program = default_filter(DEFAULT_CAPS).expect("it compiles");
    let mut command = std::process::Command::new("/bin/true");
    let install = move || {
        let filter =
            libc::sock_fprog { len: (program.len() / 8) as u16, filter: program.as_ptr().cast_mut().cast() };
        // SAFETY: plain calls; `filter` and the program it points to outlive them, and the kernel only reads.
        let installed = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::syscall(libc::SYS_seccomp, 1, 0, &filter) == 0
        };
        if installed && check() { Ok(()) } else { Err(std::io::Error::from_raw_os_error(libc::EPROTO)) }
    };
    // SAFETY: the closure makes system calls only; it neither allocates nor takes locks.
    unsafe { command.pre_exec(install) };
    command.status().expect("the checks hold and the command starts")
}

/// The error number of a call made with all arguments 0.
fn errno_of(number: libc::c_long) -> i32 {
    // SAFETY: the calls tested take no pointers that they would write to when all arguments are 0.
    match unsafe { libc::syscall(number, 0, 0, 0, 0, 0, 0) } {
        -1 => std::io::Error::last_os_error().raw_os_error().unwrap_or(0),
        _ => 0,
    }
}

#[test]
fn the_kernel_takes_it_and_means_the_same() {
    let status = in_a_filtered_child(|| {
        errno_of(libc::SYS_getppid) == 0
            && errno_of(libc::SYS_unshare) == libc::EPERM
            && errno_of(libc::SYS_io_uring_setup) == libc::EPERM
            && errno_of(libc::SYS_clone3) == libc::ENOSYS
            && errno_of(libc::SYS_memfd_secret) == libc::ENOSYS
            && errno_of(900) == libc::ENOSYS
            // SAFETY: no pointers.
            && unsafe { libc::socket(38, libc::SOCK_SEQPACKET, 0) } == -1
            && std::io::Error::last_os_error().raw_os_error() == Some(libc::EAFNOSUPPORT)
    });
    assert!(status.success(), "{status}");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn x32_calls_kill() {
    let status = in_a_filtered_child(|| errno_of(0x4000_0000 + libc::SYS_getppid) == 0);
    assert_eq!(status.signal(), Some(libc::SIGSYS));
}
