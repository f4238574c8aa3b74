//! What is said about a command line that can't be parsed, and about docker's commands that are not built yet.

use crate::exit::Failure;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// docker's exit code for flags and arguments that are wrong.
const WRONG: u8 = 125;

/// docker's commands that come later, and what to do until then.
const COMMANDS: &[(&str, &str)] = &[
    ("build", "build with another tool, then `containers load` its archive"),
    ("commit", "build with another tool, then `containers load` its archive"),
    ("cp", "bind a folder of the machine: -v /here:/there"),
    ("diff", "compare with `containers exec NAME`"),
    ("events", "`containers wait` and `containers logs -f` follow single containers"),
    ("export", "run tar in the container: `containers exec NAME tar -c / >file`"),
    ("login", "put credentials into ~/.docker/config.json or ~/.config/containers/auth.json"),
    ("logout", "remove them from ~/.docker/config.json or ~/.config/containers/auth.json"),
    ("network", "there are --network none and --network host"),
    ("port", "with --network host, ports are the machine's"),
    ("prune", "remove one by one: `containers rm`, `containers rmi`"),
    ("push", "push with another tool, such as skopeo"),
    ("save", "copy with another tool, such as skopeo"),
    ("search", "search at the registry"),
    ("serve", "the library, the command line and containers-oci need no server"),
    ("stats", "read the files of the container's cgroup"),
    ("system", "`containers info` says how many images and containers there are"),
    ("top", "`containers exec NAME ps`"),
    ("update", "make a new container with other limits"),
    ("volume", "bind a folder of the machine: -v /here:/there"),
];

/// docker's flags that come later, and what to do until then.
const FLAGS: &[(&str, &str)] = &[
    ("--all-tags", "pull the tags one by one"),
    ("--attach", "without -d all streams are attached, with -i the input too"),
    ("-a", "without -d all streams are attached, with -i the input too"),
    (
        "--blkio-weight",
        "limits are --memory, --cpus and --pids-limit; containers-oci takes all that an OCI configuration has",
    ),
    (
        "--blkio-weight-device",
        "limits are --memory, --cpus and --pids-limit; containers-oci takes all that an OCI configuration has",
    ),
    ("--cgroup-parent", "containers have a place of their own below the cgroup of whoever starts them"),
    ("--cgroupns", "a container has a cgroup namespace of its own"),
    ("--checkpoint", "a container can be frozen: `containers pause`"),
    ("--checkpoint-dir", "a container can be frozen: `containers pause`"),
    ("--cpu-period", "use --cpus"),
    ("--cpu-quota", "use --cpus"),
    ("--cpu-rt-period", "use --cpus"),
    ("--cpu-rt-runtime", "use --cpus"),
    ("--cpuset-mems", "use --cpuset-cpus"),
    ("--detach-keys", "they are ctrl-p ctrl-q"),
    ("--details", "`containers inspect` shows labels and variables"),
    ("--device-cgroup-rule", "use --device"),
    (
        "--device-read-bps",
        "limits are --memory, --cpus and --pids-limit; containers-oci takes all that an OCI configuration has",
    ),
    (
        "--device-read-iops",
        "limits are --memory, --cpus and --pids-limit; containers-oci takes all that an OCI configuration has",
    ),
    (
        "--device-write-bps",
        "limits are --memory, --cpus and --pids-limit; containers-oci takes all that an OCI configuration has",
    ),
    (
        "--device-write-iops",
        "limits are --memory, --cpus and --pids-limit; containers-oci takes all that an OCI configuration has",
    ),
    (
        "--disable-content-trust",
        "signatures are not looked at; name the image by its digest to be sure of it",
    ),
    ("--dns-opt", "bind a file: -v /my/resolv.conf:/etc/resolv.conf"),
    ("--dns-option", "bind a file: -v /my/resolv.conf:/etc/resolv.conf"),
    ("--dns-search", "bind a file: -v /my/resolv.conf:/etc/resolv.conf"),
    ("--expose", "it publishes nothing with docker either"),
    ("--gpus", "give the devices: --device"),
    ("--health-start-interval", "use --health-interval"),
    ("--human", "sizes and times are for people already"),
    ("--ip", "there are --network none and --network host"),
    ("--ip6", "there are --network none and --network host"),
    ("--ipc", "a container has an IPC namespace of its own"),
    ("--isolation", "it is of Windows"),
    ("--kernel-memory", "use --memory"),
    ("--link", "use --network host"),
    ("--link-local-ip", "there are --network none and --network host"),
    ("--log-driver", "logs are kept in a file: `containers logs`"),
    ("--log-opt", "logs are kept in a file: `containers logs`"),
    ("--mac-address", "there are --network none and --network host"),
    ("--memory-reservation", "use --memory"),
    ("--memory-swap", "a limit of --memory counts swap, too, where the kernel can count it"),
    ("--memory-swappiness", "a limit of --memory counts swap, too, where the kernel can count it"),
    ("--net-alias", "there are --network none and --network host"),
    ("--network-alias", "there are --network none and --network host"),
    ("--no-prune", "an image is removed whole"),
    ("--oom-kill-disable", "use a higher --memory"),
    ("--oom-score-adj", "use --memory: what goes beyond it is killed inside of the container"),
    ("--pid", "a container has a pid namespace of its own"),
    ("--publish-all", "use --network host"),
    ("-P", "use --network host"),
    ("--runtime", "containers-oci is a runtime for other engines"),
    ("--size", "`containers inspect` names the folders"),
    ("--storage-opt", "use --tmpfs with size= for what may be written"),
    ("--tree", "`containers images` lists them"),
    ("--use-api-socket", "there is no daemon"),
    ("--uts", "use --hostname"),
    ("--volume-driver", "bind a folder of the machine: -v /here:/there"),
    ("--volumes-from", "use -v"),
];

/// Prints what clap has to say; the exit code.
pub fn refuse(error: &clap::Error) -> u8 {
    if let Some(failure) = later_flag(error) {
        eprintln!("containers: {}", failure.message);
        return failure.code;
    }
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => 0,
        // As docker: only flags are 125.
        ErrorKind::MissingRequiredArgument => 1,
        _ => WRONG,
    }
}

fn later_flag(error: &clap::Error) -> Option<Failure> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let name = flag.split('=').next().unwrap_or_default();
    let (name, hint) = FLAGS.iter().find(|(known, _)| *known == name)?;
    Some(Failure { code: WRONG, message: not_built(name, hint) })
}

fn not_built(what: &str, hint: &str) -> String {
    format!("unsupported: {what} is not built yet: {hint}")
}

/// Why a command that clap does not know can't be run.
pub fn unknown(group: &str, words: &[OsString]) -> Failure {
    let name = words.first().map(|w| w.to_string_lossy()).unwrap_or_default();
    match COMMANDS.iter().find(|(known, _)| *known == name) {
        Some((_, hint)) => Failure::new(not_built(&format!("`{group} {name}`"), hint)),
        None => Failure::new(format!("unknown command: {group} {name}\nSee '{group} --help'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;

    #[test]
    fn later_flags_say_so() {
        for (arguments, says) in [
            (vec!["run", "--gpus", "all", "x"], "--device"),
            (vec!["run", "--memory-swap=1g", "x"], "--memory"),
            (vec!["create", "--link", "x"], "--network host"),
            (vec!["run", "-P", "x"], "--network host"),
            (vec!["run", "--health-start-interval", "1s", "x"], "--health-interval"),
            (vec!["ps", "--size"], "inspect"),
            (vec!["exec", "--detach-keys", "a", "c", "true"], "ctrl-p"),
            (vec!["pull", "--all-tags", "x"], "one by one"),
        ] {
            let error = Cli::try_parse_from(["containers"].iter().chain(&arguments)).unwrap_err();
            let failure = later_flag(&error).unwrap_or_else(|| panic!("{arguments:?}"));
            assert!(
                failure.message.starts_with("unsupported: ")
                    && failure.message.contains(says)
                    && failure.code == 125,
                "{failure:?}"
            );
        }
        let error = Cli::try_parse_from(["containers", "run", "--colour", "x"]).unwrap_err();
        assert!(later_flag(&error).is_none());
    }

    #[test]
    fn none_of_what_comes_later_is_here() {
        for (flag, _) in FLAGS {
            assert!(Cli::try_parse_from(["containers", "run", flag, "host"]).is_err(), "{flag}");
        }
        for (command, _) in COMMANDS {
            let failure = unknown("containers", &[(*command).into()]);
            assert!(failure.message.contains("not built yet"), "{command}");
        }
        assert!(unknown("containers", &["nosuch".into()]).message.starts_with("unknown command"));
    }
}
