//! The notation; what programs mean is tested with the compiler.

use super::{Compiled, compile, compile_for};
use crate::ErrorKind;
use crate::sandbox::seccomp::flags::{LOG, NEW_LISTENER, SPEC_ALLOW, WAIT_KILLABLE_RECV};
use crate::sandbox::seccomp::{Arch, Target, answer};
use oci_spec::runtime::LinuxSeccomp;
use serde_json::{Value, json};

const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;

fn read(value: &Value) -> LinuxSeccomp {
    serde_json::from_value(value.clone()).expect("it is read")
}

fn compiled(value: Value) -> Compiled {
    compile(&read(&value)).expect("it compiles")
}

fn on_x86_64(value: Value) -> impl Fn(Arch, &str, [u64; 6]) -> u32 {
    let target = Target { arch: Arch::X86_64, caps: 0, kernel: (6, 1) };
    let program = compile_for(&read(&value), &target).expect("it compiles").program;
    move |arch, name, args| answer(&program, arch, name, args)
}

#[test]
fn every_action_has_its_answer() {
    for (action, errno, code) in [
        ("KILL", None, 0),
        ("KILL_THREAD", None, 0),
        ("KILL_PROCESS", None, KILL_PROCESS),
        ("TRAP", None, 0x0003_0000),
        ("ERRNO", None, 0x0005_0001),
        ("ERRNO", Some(38), 0x0005_0026),
        ("ERRNO", Some(0), 0x0005_0000),
        ("TRACE", None, 0x7ff0_0001),
        ("TRACE", Some(9), 0x7ff0_0009),
        ("NOTIFY", None, 0x7fc0_0000),
        ("LOG", None, 0x7ffc_0000),
    ] {
        let run = on_x86_64(json!({
            "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent",
            "syscalls": [{"names": ["getcwd"], "action": format!("SCMP_ACT_{action}"), "errnoRet": errno}],
        }));
        assert_eq!(run(Arch::X86_64, "getcwd", [0; 6]), code, "{action}");
        assert_eq!(run(Arch::X86_64, "getpid", [0; 6]), ALLOW, "{action}");
        assert_eq!(run(Arch::X86, "getpid", [0; 6]), KILL_PROCESS, "{action}");
    }
}

#[test]
fn listed_machines_may_be_used_and_have_their_own_numbers() {
    let run = on_x86_64(json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_MIPS"],
        "syscalls": [
            {"names": ["execve", "statx", "socket", "_llseek"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["semget"], "action": "SCMP_ACT_KILL_PROCESS"},
        ],
    }));
    for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
        assert_eq!(run(arch, "execve", [0; 6]), ALLOW, "{arch:?}");
        assert_eq!(run(arch, "getpid", [0; 6]), 0x0005_0001, "{arch:?}");
        // newer than what the rules name; x32's execve has a higher number than that
        let newer = if arch == Arch::X32 { 0x0005_0001 } else { 0x0005_0026 };
        assert_eq!(run(arch, "clone3", [0; 6]), newer, "{arch:?}");
    }
    assert_eq!(run(Arch::X86, "_llseek", [0; 6]), ALLOW);
    // what 32-bit programs do through one call for many
    assert_eq!(run(Arch::X86, "socketcall", [1, 0, 0, 0, 0, 0]), ALLOW);
    assert_eq!(run(Arch::X86, "socketcall", [2, 0, 0, 0, 0, 0]), 0x0005_0001);
    assert_eq!(run(Arch::X86, "ipc", [0x0001_0002, 0, 0, 0, 0, 0]), KILL_PROCESS);
    assert_eq!(run(Arch::Aarch64, "execve", [0; 6]), KILL_PROCESS);
}

#[test]
fn flags_are_the_kernels() {
    for (flags, listener, expected) in [
        (json!(null), false, SPEC_ALLOW),
        (json!([]), false, 0),
        (json!(["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"]), false, LOG),
        (json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]), false, 0),
        (json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]), true, WAIT_KILLABLE_RECV | NEW_LISTENER),
        (json!(["SECCOMP_FILTER_FLAG_TSYNC"]), true, NEW_LISTENER),
    ] {
        let action = if listener { "SCMP_ACT_NOTIFY" } else { "SCMP_ACT_LOG" };
        let made = compiled(json!({
            "defaultAction": "SCMP_ACT_ALLOW", "flags": flags, "listenerPath": "/run/agent",
            "syscalls": [{"names": ["getcwd"], "action": action}],
        }));
        assert_eq!((made.flags, made.notify), (expected, listener), "{flags}");
        let told = made.warnings.iter().any(|warning| warning.starts_with("linux.seccomp.listenerPath: "));
        assert_eq!(told, !listener, "{:?}", made.warnings);
    }
}

#[test]
fn unknown_names_are_told_and_passed_over() {
    let made = compiled(json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["getcwd", "call_of_2040"], "action": "SCMP_ACT_KILL"}],
    }));
    assert_eq!(made.warnings.len(), 1);
    assert!(made.warnings[0].starts_with("linux.seccomp.syscalls[0].names[1]:"), "{:?}", made.warnings);
}

#[test]
fn errors_name_the_path() {
    let rule = |rule: Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
    let arg = json!({"index": 6, "value": 1, "op": "SCMP_CMP_EQ"});
    for (value, path) in [
        (json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}), "defaultErrnoRet"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}), "defaultErrnoRet"),
        (json!({"defaultAction": "SCMP_ACT_NOTIFY"}), "listenerPath"),
        (json!({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "agent"}), "listenerPath"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}), "listenerMetadata"),
        (rule(json!({"names": [], "action": "SCMP_ACT_KILL"})), "syscalls[0].names"),
        (rule(json!({"names": ["read", ""], "action": "SCMP_ACT_KILL"})), "syscalls[0].names[1]"),
        (rule(json!({"names": ["read"], "action": "SCMP_ACT_LOG", "errnoRet": 3})), "syscalls[0].errnoRet"),
        (
            rule(json!({"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 70000})),
            "syscalls[0].errnoRet",
        ),
        (
            rule(json!({"names": ["read"], "action": "SCMP_ACT_LOG", "args": [arg]})),
            "syscalls[0].args[0].index",
        ),
    ] {
        let error = compile(&read(&value)).expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{value}");
        assert!(error.to_string().contains(&format!("linux.seccomp.{path}: ")), "{value}: {error}");
    }
}
