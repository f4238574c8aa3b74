//! The command line: runc's. Tables say what there is ([`flags`], [`verbs`]); from them come what is read ([`read`]), what
//! is filled in ([`given`], [`command`]), the complaints ([`wrong`]) and the help. They are constant, since each
//! start of a container waits for them.

mod command;
mod flags;
mod given;
mod read;
mod table;
#[cfg(test)]
mod tests;
mod verbs;
mod wrong;

pub use command::{Checkpoint, Command, Create, Criu, Exec, Restore, Update};
pub use table::{Flag, Flags, Takes, Verb, Word};
pub use verbs::{GLOBAL, VERBS};
pub use wrong::{Stop, Wrong};

use given::Given;
use lexopt::Parser;
use read::Item;
use std::ffi::OsStr;
use std::path::PathBuf;

/// What stands before the command, and the command.
#[derive(Debug, PartialEq)]
pub struct Cli {
    pub root: Option<PathBuf>,
    pub log: Option<PathBuf>,
    pub log_json: bool,
    pub debug: bool,
    pub systemd_cgroup: bool,
    /// None is for the engine to find out.
    pub rootless: Option<bool>,
    pub version: bool,
    pub command: Option<Command>,
}

/// Understands a command line.
pub fn parse(mut parser: Parser) -> Result<Cli, Stop> {
    let mut given = Given::default();
    let verb = loop {
        match read::next(&mut parser, GLOBAL)? {
            Some(Item::Flag(flag, value)) => given.add(flag, value),
            Some(Item::Help) => return Err(Stop::Help(None)),
            Some(Item::Word(name)) if name == "help" => return Err(help(&mut parser)?),
            Some(Item::Word(name)) => break Some(find(&name)?),
            None => break None,
        }
    };
    let command = verb.map(|verb| {
        let mut given = read::given(&mut parser, verb)?;
        (verb.make)(&mut given).map_err(|wrong| Stop::Wrong(Some(verb), wrong))
    });
    let command = command.transpose()?;
    given.ignore(&flags::CRIU);
    Ok(Cli {
        root: given.path_or_refusal(&flags::ROOT)?,
        log: given.path(&flags::LOG),
        log_json: given.choice(&flags::LOG_FORMAT) == Some("json"),
        debug: given.switch(&flags::DEBUG),
        systemd_cgroup: given.switch(&flags::SYSTEMD_CGROUP),
        rootless: given.switch_or_auto(&flags::ROOTLESS)?,
        version: given.switch(&flags::VERSION),
        command,
    })
}

/// `help`, `help VERB`.
fn help(parser: &mut Parser) -> Result<Stop, Stop> {
    match read::next(parser, &[])? {
        Some(Item::Word(name)) if name != "help" => find(&name).map(|verb| Stop::Help(Some(verb))),
        _ => Ok(Stop::Help(None)),
    }
}

fn find(name: &OsStr) -> Result<&'static Verb, Stop> {
    let verb = VERBS.iter().find(|verb| name == verb.name);
    verb.ok_or_else(|| Wrong::Verb(name.to_string_lossy().into_owned()).into())
}
