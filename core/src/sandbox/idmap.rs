//! User and group ids: who may map what.

use containers_protocol::Bytes;
use containers_protocol::plan::{IdMap, IdMaps};
use std::path::{Path, PathBuf};

/// Ids that a user namespace needs for ordinary images.
const ENOUGH: u32 = 65536;

/// The maps of a rootless launcher. `single`: only the caller's own id, for want of anything better; then
/// the reason and the fix.
pub(crate) struct Rootless {
    pub(crate) maps: IdMaps,
    pub(crate) warning: Option<String>,
}

/// The maps for the user namespace of a launcher that `uid` and `gid` start.
pub(crate) fn rootless(uid: u32, gid: u32) -> Rootless {
    if uid == 0 {
        // Everything that this process may map itself.
        let all = |file: &str| identity(&std::fs::read_to_string(file).unwrap_or_default());
        let maps = IdMaps { uids: all("/proc/self/uid_map"), gids: all("/proc/self/gid_map"), tools: None };
        return Rootless { maps, warning: None };
    }
    let tools = find_tool("newuidmap").zip(find_tool("newgidmap"));
    let name = crate::accounts::name_of(uid);
    let uids = ranges("/etc/subuid", name.as_deref(), uid);
    let gids = ranges("/etc/subgid", name.as_deref(), uid);
    let missing = if tools.is_none() {
        Some("newuidmap and newgidmap are not installed (Debian: package uidmap)")
    } else if uids.is_empty() || gids.is_empty() {
        Some(
            "/etc/subuid and /etc/subgid grant this user no ids (usermod --add-subuids 100000-165535 \
              --add-subgids 100000-165535 USER)",
        )
    } else {
        None
    };
    if let Some(missing) = missing {
        let own = |id| vec![IdMap { inside: 0, outside: id, count: 1 }];
        let warning = format!("only one user id can be mapped, so containers have root alone: {missing}");
        return Rootless {
            maps: IdMaps { uids: own(uid), gids: own(gid), tools: None },
            warning: Some(warning),
        };
    }
    let maps = IdMaps {
        uids: stack(uid, &uids),
        gids: stack(gid, &gids),
        tools: tools.map(|(u, g)| (Bytes::from(u), Bytes::from(g))),
    };
    Rootless { maps, warning: None }
}

/// The maps for `userns=auto` of a container started by root: root inside is nobody outside.
pub(crate) fn auto() -> IdMaps {
    let range = |file: &str| {
        let granted = ["containers", "dockremap", "root"]
            .iter()
            .find_map(|owner| ranges(file, Some(owner), u32::MAX).into_iter().find(|r| r.1 >= ENOUGH));
        let (first, _) = granted.unwrap_or((1 << 20, ENOUGH));
        vec![IdMap { inside: 0, outside: first, count: ENOUGH }]
    };
    IdMaps { uids: range("/etc/subuid"), gids: range("/etc/subgid"), tools: None }
}

/// Root is the caller, and the granted ranges follow.
fn stack(own: u32, ranges: &[(u32, u32)]) -> Vec<IdMap> {
    let mut maps = vec![IdMap { inside: 0, outside: own, count: 1 }];
    let mut inside = 1u32;
    for &(outside, count) in ranges {
        let count = count.min(u32::MAX - inside);
        if count > 0 {
            maps.push(IdMap { inside, outside, count });
            inside += count;
        }
    }
    maps
}

/// Ids that exist in this process's user namespace, mapped to themselves.
fn identity(map: &str) -> Vec<IdMap> {
    let line = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
        let (inside, _, count) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(IdMap { inside, outside: inside, count })
    };
    map.lines().filter_map(line).collect()
}

/// First id and count of the ranges that a subuid file grants to a user.
fn ranges(file: &str, name: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    parse_ranges(&std::fs::read_to_string(file).unwrap_or_default(), name, uid)
}

fn parse_ranges(text: &str, name: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    let line = |line: &str| {
        let mut fields = line.trim().split(':');
        let (owner, first, count) = (fields.next()?, fields.next()?, fields.next()?);
        let ours = Some(owner) == name || owner.parse() == Ok(uid);
        let (first, count) = (first.parse::<u32>().ok()?, count.parse::<u32>().ok()?);
        (ours && count > 0 && first.checked_add(count).is_some()).then_some((first, count))
    };
    text.lines().filter_map(line).collect()
}

/// A tool in the places where systems put setuid tools; the caller's `PATH` is not asked.
fn find_tool(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number() {
        let text = "# a comment\nann:100000:65536\n1000:300000:10\nbob:1:1\nann:x:y\nann:4294967295:2\n";
        assert_eq!(parse_ranges(text, Some("ann"), 1000), [(100_000, 65536), (300_000, 10)]);
        assert_eq!(parse_ranges(text, None, 7), []);
    }

    #[test]
    fn ranges_are_stacked_after_root() {
        let maps = stack(1000, &[(100_000, 10), (200_000, 5)]);
        let inside: Vec<_> = maps.iter().map(|m| (m.inside, m.outside, m.count)).collect();
        assert_eq!(inside, [(0, 1000, 1), (1, 100_000, 10), (11, 200_000, 5)]);
    }
}
