//! Who the command runs as, looked up in the container's own files.

use crate::failure::{Context, coded};
use containers_protocol::control::Failure;
use containers_protocol::plan::ProcessPlan;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;

/// Bigger passwd and group files are refused.
const MAX_FILE: u64 = 10 << 20;

/// Ids above are taken by the kernel for "no change".
const MAX_ID: u32 = u32::MAX - 1;

/// An identity.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Home folder, if the passwd file says.
    pub home: Option<Vec<u8>>,
}

/// A row of the passwd file.
struct Account<'a> {
    name: &'a [u8],
    uid: u32,
    gid: u32,
    home: &'a [u8],
}

/// Resolves the plan's user and groups. `/` must be the container's root. `need_home`: look for the home
/// folder even if nothing else has to be looked up.
pub fn resolve(process: &ProcessPlan, need_home: bool) -> Result<Identity, Failure> {
    let (user, group) = match process.user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (process.user.as_str(), None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let uid = number(user).map_err(|()| bad_user(&process.user, "the user id is out of range"))?;
    let is_plain_root = uid == Some(0) && group.is_none();
    if is_plain_root && !need_home && process.groups.is_empty() {
        return Ok(Identity::default());
    }
    let passwd = read("/etc/passwd")?;
    let account = accounts(&passwd).find(|a| match uid {
        Some(uid) => a.uid == uid,
        None => a.name == user.as_bytes(),
    });
    let mut who = Identity::default();
    match (uid, &account) {
        (Some(uid), None) => who.uid = uid,
        (_, Some(account)) => {
            (who.uid, who.gid) = (account.uid, account.gid);
            who.home = clean_home(account.home);
        }
        (None, None) => {
            return Err(bad_user(&process.user, &format!("no user {user} in the container's /etc/passwd")));
        }
    }
    let groups = read("/etc/group")?;
    if let Some(group) = group {
        who.gid = group_id(&groups, group, &process.user)?;
    } else if let Some(account) = &account {
        who.groups = member_of(&groups, account.name, who.gid);
    }
    for extra in &process.groups {
        who.groups.push(group_id(&groups, extra, extra)?);
    }
    who.groups.sort_unstable();
    who.groups.dedup();
    Ok(who)
}

fn bad_user(user: &str, detail: &str) -> Failure {
    coded("invalid_argument", "user", user.as_bytes(), detail)
}

/// A number if it looks like one: such a name is never looked up as a name.
fn number(text: &str) -> Result<Option<u32>, ()> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(n) if n <= MAX_ID && n <= i32::MAX as u32 => Ok(Some(n)),
        _ => Err(()),
    }
}

fn group_id(groups: &[u8], group: &str, user: &str) -> Result<u32, Failure> {
    match number(group) {
        Ok(Some(gid)) => return Ok(gid),
        Err(()) => return Err(bad_user(user, "the group id is out of range")),
        Ok(None) => {}
    }
    let found = rows(groups).find(|row| row.first().is_some_and(|name| *name == group.as_bytes()));
    let gid = found.and_then(|row| id(row.get(2)?));
    gid.ok_or_else(|| bad_user(user, &format!("no group {group} in the container's /etc/group")))
}

/// Groups that list the user as a member, and the main one.
fn member_of(groups: &[u8], name: &[u8], gid: u32) -> Vec<u32> {
    let listed = rows(groups).filter_map(|row| {
        let members = row.get(3)?;
        members.split(|b| *b == b',').any(|m| m == name).then(|| id(row.get(2)?)).flatten()
    });
    listed.chain([gid]).collect()
}

/// A home folder that can stand in an environment: an absolute path.
fn clean_home(home: &[u8]) -> Option<Vec<u8>> {
    (home.starts_with(b"/") && !home.contains(&0)).then(|| home.to_vec())
}

/// The lines of a passwd or group file, split at colons.
fn rows(file: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    file.split(|b| *b == b'\n')
        .filter(|line| !line.is_empty() && line[0] != b'#')
        .map(|line| line.split(|b| *b == b':').collect())
}

fn id(field: &[u8]) -> Option<u32> {
    number(std::str::from_utf8(field).ok()?).ok()?
}

fn accounts(passwd: &[u8]) -> impl Iterator<Item = Account<'_>> {
    rows(passwd).filter_map(|row| {
        Some(Account {
            name: row.first()?,
            uid: id(row.get(2)?)?,
            gid: id(row.get(3)?)?,
            home: row.get(5).copied().unwrap_or_default(),
        })
    })
}

/// Reads a file of the container; a missing one is empty.
fn read(path: &str) -> Result<Vec<u8>, Failure> {
    let how = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = match openat(CWD, path, how, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
        other => other.at("user", path.as_bytes())?,
    };
    let stat = fstat(&fd).at("user", path.as_bytes())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_size as u64 > MAX_FILE {
        return Err(coded("invalid_argument", "user", path.as_bytes(), "not a regular file of sane size"));
    }
    let mut content = Vec::with_capacity(stat.st_size as usize + 1);
    File::from(fd).take(MAX_FILE).read_to_end(&mut content).at("user", path.as_bytes())?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_never_names() {
        assert_eq!(number("1000"), Ok(Some(1000)));
        assert_eq!(number("root"), Ok(None));
        assert_eq!(number("4294967295"), Err(()));
        assert_eq!(number("99999999999"), Err(()));
        assert_eq!(number("-1"), Ok(None));
    }

    #[test]
    fn rows_and_members() {
        let groups = b"root:x:0:\nwheel:x:10:root,me\n#c\nbad\nnone:x::me\n";
        assert_eq!(member_of(groups, b"me", 7), [10, 7]);
        assert_eq!(group_id(groups, "wheel", "").unwrap(), 10);
        assert_eq!(group_id(groups, "nope", "").unwrap_err().code, "invalid_argument");
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nme:x:1:2::relative:/bin/sh\n";
        let me = accounts(passwd).find(|a| a.name == b"me").unwrap();
        assert_eq!((me.uid, me.gid), (1, 2));
        assert_eq!(clean_home(me.home), None);
    }
}
