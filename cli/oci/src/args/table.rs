//! What tables are made of.

use super::command::Command;
use super::given::Given;
use super::wrong::{Bound, Wrong};
use std::fmt::{Display, Formatter};

/// A command: `create`, `run` and the others.
pub struct Verb {
    pub name: &'static str,
    pub about: &'static str,
    pub flags: Flags,
    pub words: &'static [&'static Word],
    /// Fills in what was given: all of its flags and words are read there.
    pub make: fn(&mut Given) -> Result<Command, Wrong>,
}

/// Flags, in groups that several commands may share.
pub type Flags = &'static [&'static [&'static Flag]];

/// An option, `--long` or `-s`.
pub struct Flag {
    pub long: &'static str,
    pub short: Option<char>,
    /// What its value is called; a switch has none.
    pub value: Option<&'static str>,
    pub help: &'static str,
    /// What it is when it is not given.
    pub default: Option<&'static str>,
    /// All that it may be. Anything where there is none.
    pub choices: &'static [&'static str],
    /// Not in the help.
    pub hidden: bool,
}

/// A word that is no option.
pub struct Word {
    pub name: &'static str,
    pub help: &'static str,
    pub takes: Takes,
}

/// How many words a [`Word`] is.
#[derive(Clone, Copy)]
pub enum Takes {
    One,
    /// One, or this.
    Default(&'static str),
    /// The first that is no option, and whatever follows it.
    Words,
    /// Whatever follows, options or not.
    All,
}

impl Flag {
    /// `--long`, also `--long=true` or `--long=false`.
    pub const fn switch(long: &'static str, help: &'static str) -> Flag {
        Flag { long, short: None, value: None, help, default: None, choices: &[], hidden: false }
    }

    /// `--long VALUE`, `--long=VALUE`.
    pub const fn value(long: &'static str, value: &'static str, help: &'static str) -> Flag {
        Flag { value: Some(value), ..Flag::switch(long, help) }
    }

    /// And `-s`.
    pub const fn short(self, short: char) -> Flag {
        Flag { short: Some(short), ..self }
    }

    /// And what it is when it is not given.
    pub const fn default(self, text: &'static str) -> Flag {
        Flag { default: Some(text), ..self }
    }

    /// And all that it may be.
    pub const fn choices(self, choices: &'static [&'static str]) -> Flag {
        Flag { choices, ..self }
    }

    /// And not in the help.
    pub const fn hidden(self) -> Flag {
        Flag { hidden: true, ..self }
    }
}

impl Display for Flag {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "--{}", self.long)
    }
}

impl Verb {
    /// After so many words everything is a word.
    pub fn options_end(&self) -> Option<usize> {
        let rest = self.words.iter().position(|word| matches!(word.takes, Takes::Words | Takes::All))?;
        Some(if matches!(self.words[rest].takes, Takes::All) { rest } else { rest + 1 })
    }

    /// Refuses too few words, and too many.
    pub fn check(&self, count: usize) -> Result<(), Wrong> {
        let least = self.words.iter().filter(|word| matches!(word.takes, Takes::One)).count();
        let most = if self.options_end().is_some() { usize::MAX } else { self.words.len() };
        let (bound, expected) = match count {
            _ if (least..=most).contains(&count) => return Ok(()),
            _ if least == most => (Bound::Exactly, least),
            _ if count < least => (Bound::Least, least),
            _ => (Bound::Most, most),
        };
        Err(Wrong::Count { verb: self.name, bound, expected })
    }
}
