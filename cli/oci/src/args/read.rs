//! Reads a command line by its table.

use super::given::{Given, Value, boolean};
use super::table::{Flag, Flags, Takes, Verb};
use super::wrong::{Stop, Why, Wrong};
use lexopt::{Arg, Error, Parser};
use std::ffi::{OsStr, OsString};

/// What comes next.
pub enum Item {
    Flag(&'static Flag, Value),
    Word(OsString),
    /// `-h`, `--help`.
    Help,
}

/// Reads the next flag, with its value, or word.
pub fn next(parser: &mut Parser, flags: Flags) -> Result<Option<Item>, Wrong> {
    let item = match parser.next() {
        // The letter of a switch that came just before has a value, as in `-d=false`: the later one counts.
        Err(Error::UnexpectedValue { option, value }) => {
            let letter = option.strip_prefix('-').and_then(|rest| rest.parse::<char>().ok());
            let flag = letter.and_then(|letter| find(flags, |flag| flag.short == Some(letter)));
            let flag = flag.ok_or(Error::UnexpectedValue { option, value: value.clone() })?;
            return Ok(Some(Item::Flag(flag, Value::Switch(switched(flag, value)?))));
        }
        item => item?,
    };
    let (flag, long) = match item {
        None => return Ok(None),
        Some(Arg::Value(word)) => return Ok(Some(Item::Word(word))),
        Some(Arg::Long("help") | Arg::Short('h')) => return Ok(Some(Item::Help)),
        Some(Arg::Long(name)) => {
            let flag = find(flags, |flag| flag.long == name);
            (flag.ok_or_else(|| Wrong::Flag(format!("--{name}")))?, true)
        }
        Some(Arg::Short(name)) => {
            let flag = find(flags, |flag| flag.short == Some(name));
            (flag.ok_or_else(|| Wrong::Flag(format!("-{name}")))?, false)
        }
    };
    let value = if flag.value.is_some() {
        Value::Text(chosen(flag, parser.value().map_err(|_| Wrong::NoValue(flag.long))?)?)
    } else if long {
        Value::Switch(parser.optional_value().map_or(Ok(true), |text| switched(flag, text))?)
    } else {
        // What follows its letter are further letters.
        Value::Switch(true)
    };
    Ok(Some(Item::Flag(flag, value)))
}

fn find(flags: Flags, fits: impl Fn(&Flag) -> bool) -> Option<&'static Flag> {
    flags.iter().copied().flatten().copied().find(|flag| fits(flag))
}

/// Refuses what is none of the flag's choices.
fn chosen(flag: &Flag, value: OsString) -> Result<OsString, Wrong> {
    if flag.choices.is_empty() || flag.choices.iter().any(|choice| value == *choice) {
        return Ok(value);
    }
    Err(Wrong::value(flag, value, Why::NotOneOf(flag.choices)))
}

/// Whether a switch is on.
fn switched(flag: &Flag, text: OsString) -> Result<bool, Wrong> {
    boolean(&text).ok_or_else(|| Wrong::value(flag, text, Why::NotABoolean))
}

/// Reads all that follows a command.
pub fn given(parser: &mut Parser, verb: &'static Verb) -> Result<Given, Stop> {
    let wrong = |wrong| Stop::Wrong(Some(verb), wrong);
    let end = verb.options_end();
    let mut given = Given::of(verb);
    while let Some(item) = next(parser, verb.flags).map_err(wrong)? {
        match item {
            Item::Help => return Err(Stop::Help(Some(verb))),
            Item::Flag(flag, value) => given.add(flag, value),
            Item::Word(word) => given.words.push_back(word),
        }
        if end.is_some_and(|end| given.words.len() >= end) {
            rest(parser, verb, &mut given);
        }
    }
    verb.check(given.words.len()).map_err(wrong)?;
    Ok(given)
}

/// Takes what is left as it is.
fn rest(parser: &mut Parser, verb: &Verb, given: &mut Given) {
    // There is none in the middle of an argument, which a word is not.
    let Some(mut rest) = parser.try_raw_args() else { return };
    if verb.words.last().is_some_and(|word| matches!(word.takes, Takes::All)) {
        rest.next_if(|word| word == OsStr::new("--"));
    }
    given.words.extend(rest);
}
