//! Command lines, and what comes of them.

use super::command::{Checkpoint, Create, Criu, Exec, Restore, Run, Update};
use super::*;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

fn read(args: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Cli, Stop> {
    parse(Parser::from_args(args))
}

/// The command that a line of words gives.
fn command(line: &str) -> Command {
    match read(line.split_whitespace()) {
        Ok(cli) => cli.command.expect("a command"),
        Err(stop) => panic!("{line}: {stop}"),
    }
}

/// What is said of a line, without the hint.
fn wrong(args: impl IntoIterator<Item = impl Into<OsString>>) -> String {
    match read(args) {
        Err(stop @ Stop::Wrong(..)) => stop.to_string().lines().next().unwrap_or_default().to_owned(),
        Err(Stop::Help(_)) => panic!("help"),
        Ok(cli) => panic!("{cli:?}"),
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn some<T: for<'a> From<&'a str>>(text: &str) -> Option<T> {
    Some(T::from(text))
}

/// Options before the id, after it, and in each of their forms.
#[test]
fn create_and_run() {
    let bundle = || Create { bundle: some("/b"), id: text("c"), ..Create::default() };
    for line in [
        "create --bundle /b c",
        "create c --bundle /b",
        "create --bundle=/b c",
        "create -b /b c",
        "create -b/b c",
        "create -b=/b c",
        "create c -b /b",
        "create --bundle /other -b /b c",
        "create --bundle /b -- c",
        "create --no-pivot=false --pid-file= --bundle /b c --console-socket=",
    ] {
        assert_eq!(command(line), Command::Create(bundle()), "{line}");
    }
    for line in [
        "run --detach --bundle /b c",
        "run -db/b c",
        "run c -db /b",
        "run --detach=false -d -b /b c",
        "run -d=1 -b=/b c",
        "run -d=f --detach -b/b c",
    ] {
        let expected = Run { create: bundle(), detach: true, keep: false };
        assert_eq!(command(line), Command::Run(expected), "{line}");
    }
    let all = "--bundle 1 --console-socket 2 --pidfd-socket 3 --pid-file 4 --no-pivot --no-new-keyring \
               --preserve-fds 5 c";
    let create = || Create {
        bundle: some("1"),
        console_socket: some("2"),
        pidfd_socket: some("3"),
        pid_file: some("4"),
        no_pivot: true,
        no_new_keyring: true,
        preserve_fds: 5,
        id: text("c"),
    };
    assert_eq!(command(&format!("create {all}")), Command::Create(create()));
    let expected = Run { create: create(), detach: false, keep: true };
    assert_eq!(command(&format!("run --keep --no-subreaper {all}")), Command::Run(expected));
}

#[test]
fn short_commands() {
    let (id, table) = (|| text("c"), || text("table"));
    let cases = [
        ("start c", Command::Start { id: id() }),
        ("state c", Command::State { id: id() }),
        ("pause c", Command::Pause { id: id() }),
        ("resume c", Command::Resume { id: id() }),
        ("features", Command::Features),
        ("kill c", Command::Kill { all: false, id: id(), signal: text("SIGTERM") }),
        ("kill --all c 9", Command::Kill { all: true, id: id(), signal: text("9") }),
        ("kill c KILL -a", Command::Kill { all: true, id: id(), signal: text("KILL") }),
        ("kill c -- -9", Command::Kill { all: false, id: id(), signal: text("-9") }),
        ("delete --force c", Command::Delete { force: true, id: id() }),
        ("delete c -f", Command::Delete { force: true, id: id() }),
        ("delete --force=false c", Command::Delete { force: false, id: id() }),
        ("list", Command::List { format: table(), quiet: false }),
        ("list -qf json", Command::List { format: text("json"), quiet: true }),
        ("events c", Command::Events { interval: text("5s"), stats: false, id: id() }),
        ("events --stats c", Command::Events { interval: text("5s"), stats: true, id: id() }),
        ("events c --interval 1m", Command::Events { interval: text("1m"), stats: false, id: id() }),
        ("spec", Command::Spec { bundle: None, rootless: false }),
        ("spec --rootless -b /b", Command::Spec { bundle: some("/b"), rootless: true }),
    ];
    for (line, expected) in cases {
        assert_eq!(command(line), expected, "{line}");
    }
}

/// What follows the id is for `ps`.
#[test]
fn ps() {
    let ps = |format: &str, options: &[&str]| Command::Ps {
        format: text(format),
        id: text("c"),
        options: options.iter().map(|option| text(option)).collect(),
    };
    for (line, expected) in [
        ("ps c", ps("table", &[])),
        ("ps --format json c", ps("json", &[])),
        ("ps -f json c", ps("json", &[])),
        ("ps c -ef", ps("table", &["-ef"])),
        ("ps c -f -h --format json", ps("table", &["-f", "-h", "--format", "json"])),
        ("ps c -- aux --", ps("table", &["aux", "--"])),
    ] {
        assert_eq!(command(line), expected, "{line}");
    }
}

/// From its first word on it is the program's command line.
#[test]
fn exec() {
    let exec = |command: &[&str]| Exec {
        id: text("c"),
        command: command.iter().map(|word| text(word)).collect(),
        ..Exec::default()
    };
    let env = |values: &[&str]| values.iter().map(|value| text(value)).collect();
    for (line, expected) in [
        ("exec c", exec(&[])),
        ("exec c ls -la", exec(&["ls", "-la"])),
        ("exec c -- ls -la", exec(&["ls", "-la"])),
        ("exec c -- -la", exec(&["-la"])),
        ("exec c ls -- -t --help --no-such", exec(&["ls", "--", "-t", "--help", "--no-such"])),
        ("exec -- c -- ls", exec(&["--", "ls"])),
        ("exec -t c sh -t", Exec { tty: true, ..exec(&["sh", "-t"]) }),
        ("exec c -t sh", Exec { tty: true, ..exec(&["sh"]) }),
        ("exec --env A=b -eC=d c sh -e X", Exec { env: env(&["A=b", "C=d"]), ..exec(&["sh", "-e", "X"]) }),
        ("exec -g 7 --additional-gids 8 c id", Exec { additional_gids: vec![7, 8], ..exec(&["id"]) }),
        ("exec --cap A -c B c x", Exec { cap: env(&["A", "B"]), ..exec(&["x"]) }),
        ("exec --cgroup pids:a --cgroup b c x", Exec { cgroup: env(&["pids:a", "b"]), ..exec(&["x"]) }),
        ("exec --no-new-privs c x", Exec { no_new_privs: Some(true), ..exec(&["x"]) }),
        ("exec --no-new-privs=false c x", Exec { no_new_privs: Some(false), ..exec(&["x"]) }),
    ] {
        assert_eq!(command(line), Command::Exec(Box::new(expected)), "{line}");
    }
    let line = "exec --process 1 --console-socket 2 --pidfd-socket 3 --pid-file 4 --detach --tty --cwd 5 -u 6:7 \
                --process-label 8 --apparmor 9 --preserve-fds 10 --ignore-paused --no-subreaper c";
    let expected = Exec {
        process: some("1"),
        console_socket: some("2"),
        pidfd_socket: some("3"),
        pid_file: some("4"),
        detach: true,
        tty: true,
        cwd: some("5"),
        user: some("6:7"),
        process_label: some("8"),
        apparmor: some("9"),
        preserve_fds: 10,
        ignore_paused: true,
        ..exec(&[])
    };
    assert_eq!(command(line), Command::Exec(Box::new(expected)));
}

#[test]
fn update() {
    let line = "update --blkio-weight 10 --cpu-period 11 --cpu-quota=-12 --cpu-burst 13 --cpu-idle -14 --cpu-share 15 \
                --cpu-rt-period 16 --cpu-rt-runtime -17 --cpuset-cpus 0-1 --cpuset-mems 0 --kernel-memory 1 \
                --kernel-memory-tcp -1 -m 64m --memory-reservation -1 --memory-swap -1 --pids-limit -1 \
                --l3-cache-schema L3:0=f --mem-bw-schema MB:0=20 c";
    let expected = Update {
        blkio_weight: Some(10),
        cpu_period: Some(11),
        cpu_quota: Some(-12),
        cpu_burst: Some(13),
        cpu_idle: Some(-14),
        cpu_share: Some(15),
        cpu_rt_period: Some(16),
        cpu_rt_runtime: Some(-17),
        cpuset_cpus: some("0-1"),
        cpuset_mems: some("0"),
        memory: some("64m"),
        memory_reservation: some("-1"),
        memory_swap: some("-1"),
        pids_limit: Some(-1),
        l3_cache_schema: some("L3:0=f"),
        mem_bw_schema: some("MB:0=20"),
        id: text("c"),
        ..Update::default()
    };
    assert_eq!(command(line), Command::Update(Box::new(expected)));
    for line in ["update --resources - c", "update -r - c", "update -r- c", "update c --resources=-"] {
        let expected = Update { resources: some("-"), id: text("c"), ..Update::default() };
        assert_eq!(command(line), Command::Update(Box::new(expected)), "{line}");
    }
}

#[test]
fn checkpoint_and_restore() {
    let plain = || Criu {
        image_path: "checkpoint".into(),
        manage_cgroups_mode: text("soft"),
        id: text("c"),
        ..Criu::default()
    };
    let expected = Checkpoint { criu: plain(), ..Checkpoint::default() };
    assert_eq!(command("checkpoint c"), Command::Checkpoint(Box::new(expected)));
    let expected = Restore { criu: plain(), ..Restore::default() };
    assert_eq!(command("restore c"), Command::Restore(Box::new(expected)));
    let all = "--image-path 1 --work-path 2 --tcp-established --ext-unix-sk --shell-job --file-locks --auto-dedup \
               --manage-cgroups-mode full --empty-ns network --empty-ns network --lazy-pages c";
    let criu = || Criu {
        image_path: "1".into(),
        work_path: some("2"),
        tcp_established: true,
        ext_unix_sk: true,
        shell_job: true,
        file_locks: true,
        auto_dedup: true,
        manage_cgroups_mode: text("full"),
        empty_ns: vec![text("network"), text("network")],
        lazy_pages: true,
        id: text("c"),
    };
    let line = "checkpoint --parent-path 3 --pre-dump --leave-running --tcp-skip-in-flight --link-remap \
                --page-server a:4 --status-fd 5";
    let expected = Checkpoint {
        criu: criu(),
        parent_path: some("3"),
        pre_dump: true,
        leave_running: true,
        tcp_skip_in_flight: true,
        link_remap: true,
        page_server: some("a:4"),
        status_fd: Some(5),
    };
    assert_eq!(command(&format!("{line} {all}")), Command::Checkpoint(Box::new(expected)));
    let line = "restore --bundle 3 -d --pid-file 4 --console-socket 5 --lsm-profile 6 --lsm-mount-context 7 \
                --no-subreaper --no-pivot";
    let expected = Restore {
        criu: criu(),
        bundle: some("3"),
        detach: true,
        pid_file: some("4"),
        console_socket: some("5"),
        lsm_profile: some("6"),
        lsm_mount_context: some("7"),
    };
    assert_eq!(command(&format!("{line} {all}")), Command::Restore(Box::new(expected)));
}

#[test]
fn before_the_command() {
    let none = || Cli {
        root: None,
        log: None,
        log_json: false,
        debug: false,
        systemd_cgroup: false,
        rootless: None,
        version: false,
        command: None,
    };
    let features = || Some(Command::Features);
    for (line, expected) in [
        ("", none()),
        ("-v", Cli { version: true, ..none() }),
        ("--version", Cli { version: true, ..none() }),
        ("--debug --debug", Cli { debug: true, ..none() }),
        ("--debug=true --criu /usr/bin/criu", Cli { debug: true, ..none() }),
        ("--rootless auto features", Cli { command: features(), ..none() }),
        ("--rootless=1 features", Cli { rootless: Some(true), command: features(), ..none() }),
        ("--rootless F features", Cli { rootless: Some(false), command: features(), ..none() }),
        ("--rootless=false features", Cli { rootless: Some(false), command: features(), ..none() }),
        ("--log-format json --log-format text features", Cli { command: features(), ..none() }),
        (
            "--root /r --log /l --log-format json --systemd-cgroup --rootless true start c",
            Cli {
                root: some("/r"),
                log: some("/l"),
                log_json: true,
                systemd_cgroup: true,
                rootless: Some(true),
                command: Some(Command::Start { id: text("c") }),
                ..none()
            },
        ),
    ] {
        match read(line.split_whitespace()) {
            Ok(cli) => assert_eq!(cli, expected, "{line}"),
            Err(stop) => panic!("{line}: {stop}"),
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (line, said) in [
        ("--foo", "Incorrect Usage: flag provided but not defined: --foo"),
        ("-x start c", "Incorrect Usage: flag provided but not defined: -x"),
        ("create -dx c", "Incorrect Usage: flag provided but not defined: -d"),
        (
            "create c --root /r",
            "Incorrect Usage: flag provided but not defined: --root (it stands before the command)",
        ),
        (
            "start --version c",
            "Incorrect Usage: flag provided but not defined: --version (it stands before the command)",
        ),
        ("exec -la", "Incorrect Usage: flag provided but not defined: -l"),
        ("kill -9 c", "Incorrect Usage: flag provided but not defined: -9"),
        ("nope", "No help topic for 'nope'"),
        ("nope --help", "No help topic for 'nope'"),
        ("help nope", "No help topic for 'nope'"),
        ("--log", "Incorrect Usage: flag needs an argument: --log"),
        ("--root= list", "Incorrect Usage: flag needs an argument: --root"),
        ("create c -b", "Incorrect Usage: flag needs an argument: --bundle"),
        ("--log-format xml list", "Incorrect Usage: --log-format: \"xml\" is not one of: text, json"),
        ("--rootless maybe list", "Incorrect Usage: --rootless: \"maybe\" is not one of: auto, true, false"),
        ("restore --empty-ns pid c", "Incorrect Usage: --empty-ns: \"pid\" is not one of: network"),
        ("--debug=x list", "Incorrect Usage: --debug: \"x\" is neither true nor false"),
        ("run --preserve-fds x c", "Incorrect Usage: --preserve-fds: \"x\" is not a number"),
        ("run --preserve-fds -1 c", "Incorrect Usage: --preserve-fds: \"-1\" is out of range"),
        ("exec -g 4294967296 c id", "Incorrect Usage: --additional-gids: \"4294967296\" is out of range"),
        ("update --blkio-weight 65536 c", "Incorrect Usage: --blkio-weight: \"65536\" is out of range"),
        ("update --pids-limit 1e3 c", "Incorrect Usage: --pids-limit: \"1e3\" is not a number"),
        ("run -d=x c", "Incorrect Usage: --detach: \"x\" is neither true nor false"),
        ("create", "Incorrect Usage: \"create\" requires exactly 1 argument(s)"),
        ("create a b", "Incorrect Usage: \"create\" requires exactly 1 argument(s)"),
        ("list x", "Incorrect Usage: \"list\" requires exactly 0 argument(s)"),
        ("kill", "Incorrect Usage: \"kill\" requires a minimum of 1 argument(s)"),
        ("kill c 9 9", "Incorrect Usage: \"kill\" requires a maximum of 2 argument(s)"),
        ("exec -t", "Incorrect Usage: \"exec\" requires a minimum of 1 argument(s)"),
        ("ps", "Incorrect Usage: \"ps\" requires a minimum of 1 argument(s)"),
    ] {
        assert_eq!(wrong(line.split_whitespace()), said, "{line}");
    }
    let huge = "1".repeat(50);
    assert!(wrong(["update", "--cpu-share", &huge, "c"]).ends_with(" is out of range"));
    let hint = |args: [&str; 2]| read(args).err().map(|stop| stop.to_string()).unwrap_or_default();
    assert!(hint(["kill", "--x"]).ends_with(" kill --help'."), "{}", hint(["kill", "--x"]));
    assert!(!hint(["--x", "kill"]).contains("kill"), "{}", hint(["--x", "kill"]));
}

#[test]
fn help_is_for_a_command_or_the_program() {
    for (line, verb) in [
        ("help", None),
        ("-h", None),
        ("--debug --help", None),
        ("help --help", None),
        ("help help", None),
        ("help create", Some("create")),
        ("--root /r create -h", Some("create")),
        ("exec c --help", Some("exec")),
        ("run -dh", Some("run")),
        ("kill --all --help too many words", Some("kill")),
    ] {
        match read(line.split_whitespace()) {
            Err(Stop::Help(found)) => assert_eq!(found.map(|verb| verb.name), verb, "{line}"),
            _ => panic!("{line}"),
        }
    }
}

/// Paths are what the kernel takes; ids, users and the like are text.
#[test]
fn bytes_that_are_no_text() {
    let odd = || OsString::from_vec(b"/\xff".to_vec());
    let args = |args: &[&str]| args.iter().map(OsString::from).collect::<Vec<_>>();
    let mut line = args(&["create", "c", "--bundle"]);
    line.push(odd());
    line.push(OsString::from_vec(b"--pid-file=/\xfe".to_vec()));
    let expected = Create {
        bundle: Some(odd().into()),
        pid_file: Some(OsString::from_vec(b"/\xfe".to_vec()).into()),
        id: text("c"),
        ..Create::default()
    };
    assert_eq!(read(line).ok().and_then(|cli| cli.command), Some(Command::Create(expected)));
    for (line, of) in [
        (args(&["start"]), "container-id"),
        (args(&["exec", "c", "ls"]), "command"),
        (args(&["exec", "c", "--cwd"]), "--cwd"),
    ] {
        let said = wrong(line.into_iter().chain([odd()]));
        assert_eq!(said, format!("Incorrect Usage: {of}: \"/\\xFF\" is not UTF-8"));
    }
    let said = wrong([OsString::from_vec(b"--\xff".to_vec())]);
    assert_eq!(said, "Incorrect Usage: flag provided but not defined: --\u{fffd}");
}

#[test]
fn all_that_stands_before_a_command_is_taken() {
    for flag in GLOBAL.iter().copied().flatten() {
        let value = flag.choices.first().unwrap_or(&"1");
        let taken = read([&format!("--{}={value}", flag.long), "features"]);
        assert_eq!(taken.ok().and_then(|cli| cli.command), Some(Command::Features), "{flag}");
    }
}

/// Each flag of each command is taken, and read by it, and nothing else is.
#[test]
fn commands_read_what_their_tables_have() {
    for verb in VERBS {
        let words: Vec<&str> = verb.words.iter().map(|_| "1").collect();
        for flag in verb.flags.iter().copied().flatten() {
            let value = flag.choices.first().unwrap_or(&"1");
            let mut forms = vec![vec![format!("--{}={value}", flag.long)]];
            if flag.value.is_some() {
                forms.push(vec![format!("--{}", flag.long), text(value)]);
                forms.extend(flag.short.map(|short| vec![format!("-{short}{value}")]));
            } else {
                forms.push(vec![format!("--{}", flag.long)]);
                forms.extend(flag.short.map(|short| vec![format!("-{short}")]));
            }
            for form in forms {
                let line = form.iter().map(String::as_str).chain(words.iter().copied());
                let mut parser = Parser::from_args(line);
                let Ok(mut given) = read::given(&mut parser, verb) else { panic!("{} {form:?}", verb.name) };
                assert!((verb.make)(&mut given).is_ok(), "{} {form:?}", verb.name);
                assert!(given.is_empty(), "{} does not read {form:?}", verb.name);
            }
        }
    }
}

#[test]
fn names_are_unique() {
    let unique = |what: &str, mut names: Vec<String>| {
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{what}: {names:?}");
    };
    unique("commands", VERBS.iter().map(|verb| text(verb.name)).chain([text("help")]).collect());
    for (name, flags) in [("", GLOBAL)].into_iter().chain(VERBS.iter().map(|verb| (verb.name, verb.flags))) {
        let flags = || flags.iter().copied().flatten();
        unique(name, flags().map(|flag| text(flag.long)).chain([text("help")]).collect());
        unique(name, flags().filter_map(|flag| flag.short).chain(['h']).map(String::from).collect());
    }
}
