//! What an attacker puts into images and options: it is an error that names the place, or has no effect outside.

mod common;

use common::{Fixture, Scratch, create, is_root, run};
use containers::blocking::block_on;
use containers::{ErrorKind, ExecOptions, ImportOptions, RemoveOptions, Result, Runtime};
use nix::errno::Errno;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The tar of a root file system with busybox, and what a script does to it in its folder.
fn rootfs(scratch: &Scratch, name: &str, script: &str) -> PathBuf {
    let tar = scratch.0.join(format!("{name}.tar"));
    let script = format!(
        "mkdir {name}; cd {name}; mkdir bin etc; cp /bin/busybox bin; \
         echo 'root:x:0:0::/:/bin/sh' >etc/passwd; {script}\ntar -cf ../{name}.tar ."
    );
    let out = Command::new("bash").args(["-euc", &script]).current_dir(&scratch.0).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    tar
}

fn import(rt: &Runtime, tar: &Path, tag: &str, changes: &[&str]) -> Result<()> {
    let mut options = ImportOptions::default();
    options.tag = Some(tag.to_owned());
    options.changes = changes.iter().map(|c| (*c).to_owned()).collect();
    block_on(rt.images().import_(tar, options)).map(drop)
}

fn exec(options: Value) -> ExecOptions {
    serde_json::from_value(options).unwrap()
}

fn force() -> RemoveOptions {
    let mut options = RemoveOptions::default();
    options.force = true;
    options
}

fn has_busybox() -> bool {
    let there = Path::new("/bin/busybox").exists();
    if !there {
        eprintln!("passed over: there is no busybox");
    }
    is_root() && there
}

/// The output of a command of busybox's in an image, as a user.
fn as_user(rt: &Runtime, image: &str, user: &str, command: &[&str]) -> Result<String> {
    let command: Vec<&str> = std::iter::once("/bin/busybox").chain(command.iter().copied()).collect();
    let options = run(json!({"command": command, "user": user}));
    block_on(rt.containers().run_with(image, options)).map(|out| String::from_utf8(out.stdout).unwrap())
}

#[test]
fn a_passwd_file_without_end_names_nobody() {
    if !has_busybox() {
        return;
    }
    let f = Fixture::new();
    let fill =
        "yes 'filler:x:7:7::/:/bin/sh' | head -c 11000000 >>etc/passwd; echo 'last:x:5:5::/:' >>etc/passwd";
    import(&f.rt, &rootfs(&f.scratch, "giant", fill), "giant:1", &[]).unwrap();
    let e = as_user(&f.rt, "giant:1", "last", &["id", "-u"]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{e:?}");
    assert!(e.context().contains(&("field", "user".into())), "{e:?}");
    assert!(e.context().contains(&("path", "/etc/passwd".into())), "{e:?}");
    f.finish();
}

#[test]
fn a_passwd_file_that_is_a_link_stays_in_the_image() {
    if !has_busybox() {
        return;
    }
    let f = Fixture::new();
    let outside = f.scratch.0.join("outside");
    std::fs::write(&outside, "evil:x:0:0::/:/bin/sh\n").unwrap();
    for (n, to) in [outside.display().to_string(), format!("../../../../../../..{}", outside.display())]
        .iter()
        .enumerate()
    {
        let (name, tag) = (format!("link{n}"), format!("link{n}:1"));
        let script = format!("rm etc/passwd; ln -s {to} etc/passwd");
        import(&f.rt, &rootfs(&f.scratch, &name, &script), &tag, &[]).unwrap();
        let e = as_user(&f.rt, &tag, "evil", &["id", "-u"]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{e:?}");
        assert_eq!(as_user(&f.rt, &tag, "77", &["id", "-u"]).unwrap(), "77\n");
    }
    let script = "rm etc/passwd; mkfifo etc/passwd";
    import(&f.rt, &rootfs(&f.scratch, "fifo", script), "fifo:1", &[]).unwrap();
    let e = as_user(&f.rt, "fifo:1", "evil", &["id", "-u"]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{e:?}");
    f.finish();
}

#[test]
fn rows_of_passwd_can_not_make_others() {
    if !has_busybox() {
        return;
    }
    let f = Fixture::new();
    // A numeric name is an id, whatever the file says; an id beyond 31 bits is none; a home is one line.
    let rows = "printf '42:x:0:0::/:/bin/sh\\nbig:x:4294967296:0::/:\\nneg:x:-1:0::/:\\nok:x:9:9::/h\\\\nFOO=1:/bin/sh\\n' \
                >>etc/passwd";
    import(&f.rt, &rootfs(&f.scratch, "rows", rows), "rows:1", &[]).unwrap();
    assert_eq!(as_user(&f.rt, "rows:1", "42", &["id", "-u"]).unwrap(), "42\n");
    for user in ["big", "neg"] {
        let e = as_user(&f.rt, "rows:1", user, &["id", "-u"]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{user}: {e:?}");
    }
    assert_eq!(as_user(&f.rt, "rows:1", "ok", &["id", "-u"]).unwrap(), "9\n");
    for user in
        ["ok\n", "ok\nroot:x:0:0", "ok\u{0}", "\u{1b}[31m", ":", "a:b:c", "-1", "4294967295", "99999999999"]
    {
        let e = as_user(&f.rt, "rows:1", user, &["id", "-u"]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{user:?}: {e:?}");
        assert!(e.context().contains(&("field", "user".into())), "{user:?}: {e:?}");
    }
    f.finish();
}

#[test]
fn an_images_configuration_is_checked_as_the_callers_options_are() {
    if !has_busybox() {
        return;
    }
    let f = Fixture::new();
    let tar = rootfs(&f.scratch, "config", "");
    for (change, field) in [
        ("USER -1", "user"),
        ("USER 4294967295", "user"),
        ("USER 99999999999999999999", "user"),
        ("USER nobody-there", "user"),
        ("STOPSIGNAL 99999", "stop_signal"),
        ("STOPSIGNAL -9", "stop_signal"),
        ("STOPSIGNAL SIGNOTHING", "stop_signal"),
        ("VOLUME /a/../../b", "volumes"),
        ("HEALTHCHECK --interval=2000000h CMD true", "healthcheck"),
    ] {
        import(&f.rt, &tar, "config:1", &[change]).unwrap();
        let options = create(json!({"command": ["/bin/busybox", "true"], "detach": true}));
        let e = match block_on(f.rt.containers().create_with("config:1", options)) {
            Err(e) => e,
            Ok(c) => {
                block_on(c.remove(force())).unwrap();
                panic!("{change} was taken");
            }
        };
        assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{change}: {e:?}");
        assert!(e.context().contains(&("field", field.into())), "{change}: {e:?}");
    }
    // More than the kernel can hand over.
    let long = format!("ENV LONG={}", "x".repeat(3 << 20));
    import(&f.rt, &tar, "config:1", &[&long]).unwrap();
    let options = run(json!({"command": ["/bin/busybox", "true"]}));
    let e = block_on(f.rt.containers().run_with("config:1", options)).unwrap_err();
    assert!(matches!(e.kind(), ErrorKind::LimitExceeded | ErrorKind::InvalidArgument), "{e:?}");
    f.finish();
}

#[test]
fn nul_bytes_are_refused_wherever_text_is_taken() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let nul = "a\u{0}b";
    let path = "/a\u{0}b";
    for (field, value) in [
        ("name", json!(nul)),
        ("entrypoint", json!([nul])),
        ("environment", json!({"A": nul})),
        ("environment", json!({nul: "A"})),
        ("working_dir", json!(path)),
        ("user", json!(nul)),
        ("group_add", json!([nul])),
        ("hostname", json!(nul)),
        ("domainname", json!(nul)),
        ("volumes", json!([format!("{path}:/x")])),
        ("volumes", json!([format!("/usr:{path}")])),
        ("mounts", json!([{"type": "tmpfs", "target": path}])),
        ("tmpfs", json!({path: ""})),
        ("tmpfs", json!({"/t": format!("size={nul}")})),
        ("sysctls", json!({nul: "1"})),
        ("sysctls", json!({"net.core.somaxconn": nul})),
        ("devices", json!([format!("{path}:/dev/x")])),
        ("devices", json!([format!("/dev/null:{path}")])),
        ("extra_hosts", json!({nul: "127.0.0.1"})),
        ("extra_hosts", json!({"a": nul})),
        ("dns", json!([nul])),
        ("cap_add", json!([nul])),
        ("cpuset_cpus", json!(nul)),
        ("stop_signal", json!(nul)),
        ("ulimits", json!({nul: 1})),
        ("mem_limit", json!(nul)),
        ("restart_policy", json!(nul)),
        ("userns", json!(nul)),
        ("healthcheck", json!({"test": ["CMD", nul]})),
        ("platform", json!(nul)),
        ("pull", json!(nul)),
    ] {
        let mut options = json!({"command": ["true"], "detach": true});
        options[field] = value.clone();
        let e = match block_on(f.rt.containers().create_with("host", create(options))) {
            Err(e) => e,
            Ok(c) => {
                block_on(c.remove(force())).unwrap();
                panic!("{field} = {value} was taken");
            }
        };
        let known = [ErrorKind::InvalidArgument, ErrorKind::PathNotFound, ErrorKind::ImageNotFound];
        assert!(known.contains(&e.kind()), "{field} = {value}: {e:?}");
    }
    let c = block_on(f.rt.containers().create_with("host", create(json!({"command": ["sleep", "600"]}))))
        .unwrap();
    block_on(c.start()).unwrap();
    for (field, value) in [
        ("command", json!(["echo", nul])),
        ("environment", json!({"A": nul})),
        ("working_dir", json!(path)),
        ("user", json!(nul)),
    ] {
        let mut options: Value = json!({"command": ["true"]});
        options[field] = value;
        let e = block_on(c.exec_run(exec(options), false)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{field}: {e:?}");
    }
    assert_eq!(c.rename(nul).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(block_on(c.kill(nul)).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(f.rt.images().get(nul).unwrap_err().kind(), ErrorKind::InvalidArgument);
    drop(c);
    f.finish_soon();
}

/// Families that docker's default profile refuses: AF_ALG (38) and AF_VSOCK (40), the latter because a socket
/// there reaches the hypervisor.
#[test]
fn the_default_profile_refuses_sockets_into_the_kernel_and_the_hypervisor() {
    if !is_root() || !Path::new("/usr/bin/perl").exists() {
        return;
    }
    let f = Fixture::new();
    let script = "for my $f (@ARGV) { print socket(my $s, $f, $f == 38 ? 5 : 1, 0) ? 0 : $! + 0, ' ' }";
    let options = run(json!({"command": ["perl", "-e", script, "38", "40", "1", "2"]}));
    let out = block_on(f.rt.containers().run_with("host", options)).unwrap();
    let refused = Errno::EAFNOSUPPORT as i32;
    assert_eq!(String::from_utf8(out.stdout).unwrap(), format!("{refused} {refused} 0 0 "));
    f.finish();
}
