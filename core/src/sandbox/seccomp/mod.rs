//! System call filters: profiles in docker's or OCI's JSON become a classic BPF program.
//!
//! The kernel runs a filter for every call number when it is attached, so a program is a balanced tree of
//! comparisons: ten steps for a call instead of some hundred. Calls of another kind than the machine's own
//! (32-bit calls on a 64-bit kernel, x32) kill the process unless the profile lists that kind, which the default
//! one does not: `socketcall` and `ipc` hide their arguments from filters.

mod compile;
mod emit;
mod parse;
mod profile;
mod select;
mod syscalls;

#[cfg(test)]
mod interpreter;
#[cfg(test)]
mod tests;

pub(crate) use compile::{Target, compile};
pub(crate) use profile::{Action, Condition, Profile, Rule, Scope, Test, Unknown};
pub(crate) use syscalls::Arch;

/// The kernel's flags for attaching a filter, `SECCOMP_FILTER_FLAG_*`.
pub(crate) mod flags {
    /// Attach it to all threads.
    pub(crate) const TSYNC: u32 = 1 << 0;
    /// Note what is refused in the audit log.
    pub(crate) const LOG: u32 = 1 << 1;
    /// Leave speculation as it is.
    pub(crate) const SPEC_ALLOW: u32 = 1 << 2;
    /// Make a descriptor on which another process reads of calls.
    pub(crate) const NEW_LISTENER: u32 = 1 << 3;
    /// Once it has read of a call, only a fatal signal ends the wait.
    pub(crate) const WAIT_KILLABLE_RECV: u32 = 1 << 5;
}

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

/// Why a profile can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileError {
    /// Where in the profile, e.g. `syscalls[3].args[0].op`; empty: the whole.
    pub(crate) path: String,
    /// A sentence.
    pub(crate) message: Cow<'static, str>,
    /// The profile is right, but this library can't do what it asks.
    pub(crate) unsupported: bool,
}

impl ProfileError {
    pub(crate) fn invalid(path: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        ProfileError { path: path.into(), message: message.into(), unsupported: false }
    }

    pub(crate) fn unsupported(path: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        ProfileError { path: path.into(), message: message.into(), unsupported: true }
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ProfileError {}

impl From<ProfileError> for crate::Error {
    fn from(e: ProfileError) -> Self {
        let kind = match e.unsupported {
            true => crate::ErrorKind::Unsupported,
            false => crate::ErrorKind::InvalidArgument,
        };
        let error = crate::Error::new(kind, format!("seccomp profile: {}", e.message))
            .with_context("field", "seccomp_profile");
        if e.path.is_empty() { error } else { error.with_context("path", e.path) }
    }
}

/// What a program answers to a call, for tests.
#[cfg(test)]
pub(crate) fn answer(program: &[u8], arch: Arch, name: &str, args: [u64; 6]) -> u32 {
    let syscalls::Lookup::Number(number) = syscalls::lookup(name, arch) else {
        panic!("{name} is no call on {arch:?}")
    };
    let program = interpreter::read(program);
    interpreter::verify(&program);
    interpreter::run(&program, &interpreter::Call { arch: arch.audit(), number, args }).0
}

/// The profile of containers that ask for none.
pub(crate) fn default_profile() -> &'static Profile {
    static PROFILE: OnceLock<Profile> = OnceLock::new();
    PROFILE.get_or_init(|| {
        Profile::parse(include_str!("default.json")).expect("the default profile is tested to be right")
    })
}

/// Compiled default programs kept, one for each set of capabilities seen.
const CACHED: usize = 8;

/// The program of the default profile for a process with these capabilities (bit n: capability n) in its
/// bounding set. Compiled once for each set and kept.
pub(crate) fn default_filter(caps: u64) -> Result<Arc<[u8]>, ProfileError> {
    static CACHE: Mutex<Vec<(u64, Arc<[u8]>)>> = Mutex::new(Vec::new());
    // `try_lock`: a fork of the host may have copied the lock while another thread held it
    if let Ok(cache) = CACHE.try_lock()
        && let Some((_, program)) = cache.iter().find(|(key, _)| *key == caps)
    {
        return Ok(program.clone());
    }
    let program: Arc<[u8]> = compile(default_profile(), &Target::here(caps)?)?.into();
    if let Ok(mut cache) = CACHE.try_lock()
        && cache.len() < CACHED
    {
        cache.push((caps, program.clone()));
    }
    Ok(program)
}
