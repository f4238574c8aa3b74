//! Whether a user that is named exists in the image, before anything starts.

use super::spec::Spec;
use super::spec::parse::bad;
use crate::Result;
use crate::sandbox::RootfsParts;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use std::io::Read;

/// Bigger files are no user lists.
const MAX: u64 = 10 << 20;

/// `invalid_argument` when the user or group is named and the image's files do not have the name. What can't
/// be looked at here is looked at in the start.
pub(super) fn check(spec: &Spec, rootfs: &RootfsParts) -> Result<()> {
    let (user, group) = spec.user.split_once(':').map_or((spec.user.as_str(), None), |(u, g)| (u, Some(g)));
    let is_name = |text: &str| !text.is_empty() && !text.bytes().all(|b| b.is_ascii_digit());
    if is_name(user) {
        has(rootfs, "etc/passwd", user)?;
    }
    if let Some(group) = group.filter(|g| is_name(g)) {
        has(rootfs, "etc/group", group)?;
    }
    Ok(())
}

fn has(rootfs: &RootfsParts, file: &str, name: &str) -> Result<()> {
    let Some(text) = read(rootfs, file) else { return Ok(()) };
    if text.lines().any(|line| line.split(':').next() == Some(name)) {
        return Ok(());
    }
    Err(bad("user", format!("no {name} in the image's /{file}")))
}

/// The file as the topmost layer has it; `None`: it can't be read here, or a layer hides it.
fn read(rootfs: &RootfsParts, file: &str) -> Option<String> {
    for lower in &rootfs.lowers {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let root = rustix::fs::open(lower, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
        match openat2(&root, file, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            Ok(fd) => {
                if FileType::from_raw_mode(fstat(&fd).ok()?.st_mode) != FileType::RegularFile {
                    return None;
                }
                let mut text = Vec::new();
                std::fs::File::from(fd).take(MAX).read_to_end(&mut text).ok()?;
                return Some(String::from_utf8_lossy(&text).into_owned());
            }
            Err(rustix::io::Errno::NOENT) => {}
            Err(_) => return None,
        }
    }
    None
}
