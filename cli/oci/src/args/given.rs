//! What was given, to be taken out as what it should be.

use super::table::{Flag, Takes, Verb, Word};
use super::wrong::{Why, Wrong};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Flags and words, in their order.
#[derive(Default)]
pub struct Given {
    /// None before the command.
    verb: Option<&'static Verb>,
    flags: Vec<(&'static Flag, Value)>,
    pub words: VecDeque<OsString>,
}

/// A flag's value.
pub enum Value {
    Switch(bool),
    Text(OsString),
}

impl Given {
    /// Nothing yet.
    pub fn of(verb: &'static Verb) -> Given {
        Given { verb: Some(verb), ..Given::default() }
    }

    /// One more.
    pub fn add(&mut self, flag: &'static Flag, value: Value) {
        self.flags.push((flag, value));
    }

    /// The last value: as in runc, it counts.
    fn last(&mut self, flag: &'static Flag) -> Option<Value> {
        debug_assert!(
            self.verb
                .map_or(super::GLOBAL, |verb| verb.flags)
                .iter()
                .copied()
                .flatten()
                .any(|known| std::ptr::eq(*known, flag)),
            "{flag} is not in the table"
        );
        let at = self.flags.iter().rposition(|(given, _)| std::ptr::eq(*given, flag))?;
        Some(self.flags.remove(at).1)
    }

    fn last_text(&mut self, flag: &'static Flag) -> Option<OsString> {
        match self.last(flag)? {
            Value::Text(text) => Some(text),
            Value::Switch(_) => None,
        }
    }

    /// Of a switch that is neither on nor off by default.
    pub fn switch_or_not(&mut self, flag: &'static Flag) -> Option<bool> {
        match self.last(flag)? {
            Value::Switch(on) => Some(on),
            Value::Text(_) => None,
        }
    }

    pub fn switch(&mut self, flag: &'static Flag) -> bool {
        self.switch_or_not(flag).unwrap_or(false)
    }

    /// Takes out what has no effect.
    pub fn ignore(&mut self, flag: &'static Flag) {
        self.last(flag);
    }

    /// An empty path is none, as in runc.
    pub fn path(&mut self, flag: &'static Flag) -> Option<PathBuf> {
        let path = self.last_text(flag).filter(|path| !path.is_empty()).map(PathBuf::from);
        path.or_else(|| flag.default.map(PathBuf::from))
    }

    /// Of a path whose default must not take the place of an empty one, as that of a variable that is not set.
    pub fn path_or_refusal(&mut self, flag: &'static Flag) -> Result<Option<PathBuf>, Wrong> {
        match self.last_text(flag) {
            Some(path) if path.is_empty() => Err(Wrong::NoValue(flag.long)),
            path => Ok(path.map(PathBuf::from)),
        }
    }

    pub fn text(&mut self, flag: &'static Flag) -> Result<Option<String>, Wrong> {
        match self.last_text(flag) {
            Some(text) => utf8(flag, text).map(Some),
            None => Ok(flag.default.map(str::to_owned)),
        }
    }

    /// One of those that the flag may be; None if it has neither a value nor a default.
    pub fn choice(&mut self, flag: &'static Flag) -> Option<&'static str> {
        let given = self.last_text(flag);
        let given = given.and_then(|text| flag.choices.iter().copied().find(|choice| text == *choice));
        given.or(flag.default)
    }

    /// Of a flag that is on, off, or `auto`, which is None.
    pub fn switch_or_auto(&mut self, flag: &'static Flag) -> Result<Option<bool>, Wrong> {
        match self.last_text(flag) {
            Some(text) if text != "auto" => match boolean(&text) {
                Some(on) => Ok(Some(on)),
                None => Err(Wrong::value(flag, text, Why::NotOneOf(&["auto", "true", "false"]))),
            },
            _ => Ok(None),
        }
    }

    pub fn number<T: TryFrom<i128>>(&mut self, flag: &'static Flag) -> Result<Option<T>, Wrong> {
        match self.last_text(flag) {
            Some(text) => fitting(flag, text).map(Some),
            None => Ok(flag.default.and_then(|text| T::try_from(text.parse().ok()?).ok())),
        }
    }

    pub fn texts(&mut self, flag: &'static Flag) -> Result<Vec<String>, Wrong> {
        self.all(flag, utf8)
    }

    pub fn numbers<T: TryFrom<i128>>(&mut self, flag: &'static Flag) -> Result<Vec<T>, Wrong> {
        self.all(flag, fitting)
    }

    /// All values of a flag that may be given more than once.
    fn all<T>(
        &mut self,
        flag: &'static Flag,
        read: fn(&Flag, OsString) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Wrong> {
        let mut all = Vec::new();
        while let Some(text) = self.last_text(flag) {
            all.push(read(flag, text)?);
        }
        all.reverse();
        Ok(all)
    }

    /// The next word, or what it is by default.
    pub fn word(&mut self, word: &'static Word) -> Result<String, Wrong> {
        match (self.words.pop_front(), word.takes) {
            (Some(text), _) => word_utf8(word, text),
            (None, Takes::Default(text)) => Ok(text.to_owned()),
            // They were counted before.
            (None, _) => Err(Wrong::Other(lexopt::Error::MissingValue { option: None })),
        }
    }

    /// All words that are left.
    pub fn rest(&mut self, word: &'static Word) -> Result<Vec<String>, Wrong> {
        self.words.drain(..).map(|text| word_utf8(word, text)).collect()
    }

    /// Nothing is left.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty() && self.words.is_empty()
    }
}

fn utf8(flag: &Flag, text: OsString) -> Result<String, Wrong> {
    text.into_string().map_err(|text| Wrong::value(flag, text, Why::NotUtf8))
}

fn word_utf8(word: &Word, text: OsString) -> Result<String, Wrong> {
    let wrong = |value| Wrong::Value { of: word.name.to_owned(), value, why: Why::NotUtf8 };
    text.into_string().map_err(wrong)
}

/// As Go reads them.
pub fn boolean(text: &OsStr) -> Option<bool> {
    match text.to_str()? {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn fitting<T: TryFrom<i128>>(flag: &Flag, text: OsString) -> Result<T, Wrong> {
    let number = integer(flag, &text)?;
    T::try_from(number).map_err(|_| Wrong::value(flag, text, Why::OutOfRange))
}

fn integer(flag: &Flag, text: &OsString) -> Result<i128, Wrong> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    let number = text.to_str().unwrap_or_default().parse::<i128>();
    number.map_err(|error| {
        let over = matches!(error.kind(), PosOverflow | NegOverflow);
        Wrong::value(flag, text, if over { Why::OutOfRange } else { Why::NotANumber })
    })
}
