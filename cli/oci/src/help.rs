//! Help, and what is said of a command line that can't be understood. Scripts look for runc's form of both.

use crate::USAGE;
use crate::args::Cli;
use crate::commands::own_name;
use clap::CommandFactory;
use clap::error::{ContextKind, ErrorKind};

/// Tells why the command line was not taken; the exit code.
pub fn answer(error: &clap::Error) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp => shaped(std::env::args_os()).as_ref().unwrap_or(error).print(),
        ErrorKind::InvalidSubcommand => {
            if let Some(name) = error.get(ContextKind::InvalidSubcommand) {
                eprintln!("No help topic for '{name}'");
            }
            error.print()
        }
        _ => error.print(),
    }
    // There is nowhere to say that a message is lost.
    .unwrap_or_default();
    if error.use_stderr() { USAGE } else { 0 }
}

/// The help that a command line asks for. Its form is set here, not where commands are told from each other: only who reads
/// help waits for it.
fn shaped(args: impl IntoIterator<Item = std::ffi::OsString>) -> Option<clap::Error> {
    let own = own_name();
    let form = |name: &str, about: &dyn std::fmt::Display| {
        format!("NAME:\n   {name} - {about}\n\nUSAGE:\n   {{usage}}\n\n{{all-args}}{{after-help}}\n")
    };
    let root = Cli::command()
        .help_template(form(&own, &"Open Container Initiative runtime, with runc's command line"));
    let root = root.mut_subcommands(|command| {
        let about = command.get_about().cloned().unwrap_or_default();
        let template = form(&format!("{own} {}", command.get_name()), &about);
        command.help_template(template)
    });
    root.try_get_matches_from(args).err()
}

#[cfg(test)]
mod tests {
    use super::shaped;

    /// The help of a command line.
    fn help(args: &[&str]) -> String {
        let shown = shaped(args.iter().map(std::ffi::OsString::from)).expect("it asks for help");
        shown.to_string()
    }

    #[test]
    fn help_begins_with_a_name() {
        let root = help(&["runtime", "--help"]);
        assert!(root.starts_with("NAME:\n   "), "{root}");
        assert!(root.contains(" - Open Container Initiative runtime"), "{root}");
        for flag in ["-h", "--help"] {
            let create = help(&["runtime", "create", flag]);
            let second = create.lines().nth(1).unwrap_or_default();
            assert!(second.ends_with(" create - Create a container"), "{create}");
            assert!(create.contains("--console-socket"), "{create}");
        }
    }
}
