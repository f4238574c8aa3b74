//! Help, and what is said of a command line that can't be understood. Scripts look for runc's form of both.

use crate::USAGE;
use crate::args::{Flag, Flags, GLOBAL, Stop, Takes, VERBS, Verb, Word};
use crate::commands::{own_name, say};
use std::io::Write;

/// Tells what was asked for, or why the command line was not taken; the exit code.
pub fn answer(stop: &Stop) -> u8 {
    // There is nowhere to say that a message is lost.
    match stop {
        Stop::Help(verb) => {
            let _ = say(&help(*verb));
            0
        }
        Stop::Wrong(..) => {
            let _ = std::io::stderr().write_all(format!("{stop}\n").as_bytes());
            USAGE
        }
    }
}

/// The help for a command, or for the program.
fn help(verb: Option<&Verb>) -> String {
    let own = own_name();
    let Some(verb) = verb else {
        let commands = VERBS.iter().map(|verb| (verb.name.to_owned(), verb.about.to_owned()));
        let last = ("help".to_owned(), "Show this, or the help for a command".to_owned());
        return [
            format!("NAME:\n   {own} - Open Container Initiative runtime, with runc's command line\n"),
            format!("USAGE:\n   {own} [global options] command [command options] [arguments...]\n"),
            list("COMMANDS", commands.chain([last]).collect()),
            list("GLOBAL OPTIONS", options(GLOBAL)),
        ]
        .join("\n");
    };
    let name = verb.name;
    let usage: String = verb.words.iter().map(|word| format!(" {}", shape(word))).collect();
    let mut parts = vec![
        format!("NAME:\n   {own} {name} - {}\n", verb.about),
        format!("USAGE:\n   {own} {name} [command options]{usage}\n"),
    ];
    if !verb.words.is_empty() {
        let words = verb.words.iter().map(|word| (shape(word), described(word)));
        parts.push(list("ARGUMENTS", words.collect()));
    }
    parts.push(list("OPTIONS", options(verb.flags)));
    parts.join("\n")
}

/// How a word stands in the usage.
fn shape(word: &Word) -> String {
    let name = word.name;
    match word.takes {
        Takes::One => format!("<{name}>"),
        Takes::Default(_) => format!("[{name}]"),
        Takes::Words | Takes::All => format!("[{name}...]"),
    }
}

fn described(word: &Word) -> String {
    match word.takes {
        Takes::Default(text) => format!("{} (default: {text})", word.help),
        _ => word.help.to_owned(),
    }
}

/// What is written on the left and on the right for each option.
fn options(flags: Flags) -> Vec<(String, String)> {
    let row = |flag: &&Flag| {
        let value = flag.value.map(|value| format!(" {value}")).unwrap_or_default();
        let short = flag.short.map(|short| format!(", -{short}{value}")).unwrap_or_default();
        let default = flag.default.map(|text| format!(" (default: {text})")).unwrap_or_default();
        (format!("{flag}{value}{short}"), format!("{}{default}", flag.help))
    };
    let shown = flags.iter().copied().flatten().filter(|flag| !flag.hidden);
    let help = ("--help, -h".to_owned(), "Show help".to_owned());
    shown.map(row).chain([help]).collect()
}

fn list(title: &str, rows: Vec<(String, String)>) -> String {
    let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or(0);
    let rows: String = rows.iter().map(|(left, right)| format!("   {left:width$}  {right}\n")).collect();
    format!("{title}:\n{rows}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_begins_with_a_name() {
        let root = help(None);
        assert!(root.starts_with("NAME:\n   "), "{root}");
        assert!(root.contains(" - Open Container Initiative runtime"), "{root}");
        for verb in VERBS {
            let shown = help(Some(verb));
            let second = shown.lines().nth(1).unwrap_or_default();
            assert!(second.ends_with(&format!(" {} - {}", verb.name, verb.about)), "{shown}");
            assert!(root.contains(verb.about), "{root}");
        }
    }

    #[test]
    fn help_tells_of_all_options_that_are_not_hidden() {
        for (verb, flags) in
            [(None, GLOBAL)].into_iter().chain(VERBS.iter().map(|verb| (Some(verb), verb.flags)))
        {
            let shown = help(verb);
            for flag in flags.iter().copied().flatten() {
                let line = shown.lines().find(|line| {
                    line.strip_prefix("   ").and_then(|line| line.split([' ', ',']).next())
                        == Some(&flag.to_string())
                });
                assert_eq!(line.is_none(), flag.hidden, "{flag} in {shown}");
                let Some(line) = line else { continue };
                assert!(line.contains(flag.help), "{line}");
                assert!(flag.short.is_none_or(|short| line.contains(&format!(", -{short}"))), "{line}");
                assert!(flag.default.is_none_or(|text| line.ends_with(&format!(" (default: {text})"))));
                assert!(flag.choices.iter().all(|choice| line.contains(choice)), "{line}");
            }
            assert!(shown.lines().all(|line| line.len() <= 110), "{shown}");
        }
    }

    #[test]
    fn help_of_a_command() {
        let shown = help(VERBS.iter().find(|verb| verb.name == "kill"));
        let (_, rest) = shown.split_once("\n\n").unwrap_or_default();
        let own = own_name();
        assert_eq!(
            rest,
            format!(
                "USAGE:\n   {own} kill [command options] <container-id> [signal]\n\n\
                 ARGUMENTS:\n   <container-id>  Container id\n   \
                 [signal]        Name or number (default: SIGTERM)\n\n\
                 OPTIONS:\n   --all, -a   To all of its processes\n   --help, -h  Show help\n"
            )
        );
    }
}
