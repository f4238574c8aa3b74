//! What ends the reading of a command line.

use super::table::{Flag, Verb};
use super::verbs::GLOBAL;
use std::ffi::OsString;
use std::fmt::{Display, Formatter};

/// Why there is nothing to carry out.
pub enum Stop {
    /// Help was asked for: for a command, or for the program.
    Help(Option<&'static Verb>),
    /// The command line is not understood, in a command or before it.
    Wrong(Option<&'static Verb>, Wrong),
}

impl From<Wrong> for Stop {
    /// Before a command.
    fn from(wrong: Wrong) -> Stop {
        Stop::Wrong(None, wrong)
    }
}

/// What is not understood.
#[derive(Debug)]
pub enum Wrong {
    /// There is no such flag, which is as it was written: `--long` or `-s`.
    Flag(String),
    /// The flag needs a value.
    NoValue(&'static str),
    /// A flag, as it was written, or a word can't be this.
    Value { of: String, value: OsString, why: Why },
    /// There are too few words, or too many.
    Count { verb: &'static str, bound: Bound, expected: usize },
    /// There is no such command.
    Verb(String),
    /// What the reader of options can say besides.
    Other(lexopt::Error),
}

/// Why a value is refused.
#[derive(Debug)]
pub enum Why {
    NotANumber,
    OutOfRange,
    NotOneOf(&'static [&'static str]),
    NotABoolean,
    NotUtf8,
    /// The flag takes none.
    NotExpected,
}

/// How many words a command takes.
#[derive(Debug)]
pub enum Bound {
    Exactly,
    Least,
    Most,
}

impl Wrong {
    /// The flag can't be this.
    pub fn value(flag: &Flag, value: impl Into<OsString>, why: Why) -> Wrong {
        Wrong::Value { of: flag.to_string(), value: value.into(), why }
    }
}

impl From<lexopt::Error> for Wrong {
    fn from(error: lexopt::Error) -> Wrong {
        match error {
            lexopt::Error::UnexpectedValue { option, value } => {
                Wrong::Value { of: option, value, why: Why::NotExpected }
            }
            other => Wrong::Other(other),
        }
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Wrong::Flag(flag) => write!(f, "flag provided but not defined: {flag}"),
            Wrong::NoValue(flag) => write!(f, "flag needs an argument: --{flag}"),
            Wrong::Value { of, value, why } => write!(f, "{of}: {value:?} {why}"),
            Wrong::Count { verb, bound, expected } => {
                write!(f, "{verb:?} requires {bound} {expected} argument(s)")
            }
            Wrong::Verb(name) => write!(f, "No help topic for '{name}'"),
            Wrong::Other(error) => write!(f, "{error}"),
        }
    }
}

impl Display for Why {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Why::NotANumber => f.write_str("is not a number"),
            Why::OutOfRange => f.write_str("is out of range"),
            Why::NotOneOf(choices) => write!(f, "is not one of: {}", choices.join(", ")),
            Why::NotABoolean => f.write_str("is neither true nor false"),
            Why::NotUtf8 => f.write_str("is not UTF-8"),
            Why::NotExpected => f.write_str("is a value, and it takes none"),
        }
    }
}

impl Display for Bound {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Bound::Exactly => "exactly",
            Bound::Least => "a minimum of",
            Bound::Most => "a maximum of",
        })
    }
}

impl Display for Stop {
    /// The complaint, and where it is told what would be right.
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Stop::Wrong(verb, wrong) = self else { return Ok(()) };
        let prefix = if matches!(wrong, Wrong::Verb(_)) { "" } else { "Incorrect Usage: " };
        write!(f, "{prefix}{wrong}")?;
        let global = |name: &str| {
            GLOBAL.iter().copied().flatten().any(|flag| name.strip_prefix("--") == Some(flag.long))
        };
        if matches!((verb, wrong), (Some(_), Wrong::Flag(name)) if global(name)) {
            f.write_str(" (it stands before the command)")?;
        }
        let own = crate::commands::own_name();
        match verb {
            Some(verb) => write!(f, "\nSee '{own} {} --help'.", verb.name),
            None => write!(f, "\nSee '{own} --help'."),
        }
    }
}
