//! `linux.resources` as values of cgroup files. What follows the kernel's rules of v1 is in `v1`, the
//! conversions to v2 are in `v2`; here is what both share, and the writing.

mod common;
mod v1;
mod v2;

pub(super) use v1::v1;
pub(super) use v2::{check_usage, swap_v2, v2};

use super::file;
use crate::{Error, ErrorKind, Result};
use std::io;
use std::path::Path;

/// One value for one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// The controller that has the file.
    pub(super) controller: String,
    pub(super) file: String,
    pub(super) value: String,
    /// The JSON path of what asked for it.
    pub(super) field: String,
    /// What if the kernel has no such file.
    pub(super) missing: Missing,
}

/// What if the kernel has no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The limit can't be set: an error.
    Fails,
    /// Without the file the value is in force anyway.
    Holds,
    /// The kernel has given it up; that is worth a warning.
    Warns,
}

/// All values of one container.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) writes: Vec<Write>,
    pub(super) warnings: Vec<String>,
}

impl Values {
    fn put(&mut self, controller: &str, file: &str, value: impl ToString, field: &str) {
        self.put_unless(controller, file, value, field, Missing::Fails);
    }

    fn put_unless(
        &mut self,
        controller: &str,
        file: &str,
        value: impl ToString,
        field: &str,
        missing: Missing,
    ) {
        self.writes.push(Write {
            controller: controller.to_owned(),
            file: file.to_owned(),
            value: value.to_string(),
            field: format!("linux.resources.{field}"),
            missing,
        });
    }

    /// Whether anything is asked of a controller.
    pub(super) fn uses(&self, controller: &str) -> bool {
        self.writes.iter().any(|w| w.controller == controller)
    }
}

/// A value that can never work.
fn invalid(field: &str, text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, text).with_context("field", format!("linux.resources.{field}"))
}

/// A limit that this version of cgroups doesn't have.
fn unsupported(field: &str, text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, text).with_context("field", format!("linux.resources.{field}"))
}

/// Writes values into the folders that `dir` finds for controllers. Values of a controller can depend on each
/// other (a quota on its period, memory on memory with swap), and which must come first depends on what is in
/// force: one that the kernel refuses is tried again after its siblings.
pub(super) fn write_all<'a>(
    values: &Values,
    dir: impl Fn(&Write) -> Result<&'a Path>,
) -> Result<Vec<String>> {
    let mut warnings = values.warnings.clone();
    let mut again: Vec<(&Write, &Path)> = Vec::new();
    let mut rest = values.writes.as_slice();
    while let Some(first) = rest.first() {
        let siblings = rest.iter().take_while(|w| w.controller == first.controller).count();
        let (group, others) = rest.split_at(siblings);
        for write in group {
            let dir = match dir(write) {
                Err(_) if write.missing == Missing::Holds => continue,
                found => found?,
            };
            match file::put(dir, &write.file, &write.value) {
                Ok(()) => {}
                Err(e) if siblings > 1 && (file::is(&e, libc::EINVAL) || file::is(&e, libc::EBUSY)) => {
                    again.push((write, dir));
                }
                Err(e) => failed(write, dir, e, &mut warnings)?,
            }
        }
        for (write, dir) in again.drain(..) {
            if let Err(e) = file::put(dir, &write.file, &write.value) {
                failed(write, dir, e, &mut warnings)?;
            }
        }
        rest = others;
    }
    Ok(warnings)
}

/// What a failed write means.
fn failed(write: &Write, dir: &Path, error: io::Error, warnings: &mut Vec<String>) -> Result<()> {
    /// What the kernel says of files that it keeps only for their names.
    const ENOTSUPP: i32 = 524;
    let is_missing =
        file::is(&error, libc::ENOENT) || file::is(&error, libc::EOPNOTSUPP) || file::is(&error, ENOTSUPP);
    match write.missing {
        Missing::Holds if is_missing => return Ok(()),
        Missing::Warns if is_missing => {
            warnings.push(format!("{} is ignored: the kernel has no {} any more", write.field, write.file));
            return Ok(());
        }
        _ => {}
    }
    let value: String = write.value.chars().take(100).collect();
    let kind = match error.raw_os_error() {
        _ if is_missing => ErrorKind::Unsupported,
        Some(libc::EINVAL | libc::ERANGE | libc::ENODEV | libc::ENXIO | libc::ENOSPC) => {
            ErrorKind::InvalidArgument
        }
        Some(libc::EBUSY) => ErrorKind::InUse,
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => ErrorKind::Permission,
        _ => ErrorKind::Io,
    };
    let text = if is_missing {
        missing(write, dir)
    } else if write.file.starts_with("memory.") && matches!(kind, ErrorKind::InUse) {
        let usage = |name: &str| file::number(dir, name).map_or("unknown".into(), |n| n.to_string());
        format!(
            "the kernel refuses {value} for {}: {} bytes are in use, {} at most so far",
            write.file,
            usage("memory.usage_in_bytes"),
            usage("memory.max_usage_in_bytes")
        )
    } else {
        format!("the kernel refuses {value} for {}", write.file)
    };
    let path = dir.join(&write.file).display().to_string();
    Err(Error::new(kind, text)
        .with_context("field", write.field.clone())
        .with_context("path", path)
        .with_source(error))
}

/// Why a file is not there, and what helps.
fn missing(write: &Write, dir: &Path) -> String {
    let Ok(controllers) = file::get(dir, "cgroup.controllers") else {
        return format!(
            "the limit can't be set: this kernel's {} controller has no file {}",
            write.controller, write.file
        );
    };
    if controllers.split_ascii_whitespace().any(|c| c == write.controller) || write.controller == "cgroup" {
        return format!("the limit can't be set: this kernel has no file {}", write.file);
    }
    let parent = dir.parent().unwrap_or(dir);
    format!(
        "the limit can't be set: the {0} controller is not available in {1}; write +{0} to {2}/cgroup.subtree_control \
         of the cgroups above it, or have it delegated (systemd: Delegate={0})",
        write.controller,
        dir.display(),
        parent.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(writes: &[(&str, &str, Missing)]) -> Values {
        let mut values = Values::default();
        for (file, value, missing) in writes {
            values.put_unless("memory", file, value, "memory.limit", *missing);
        }
        values
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_field_controller_and_fix() {
        let dir = tempdir("missing");
        std::fs::write(dir.join("cgroup.controllers"), "cpu pids\n").unwrap();
        let write = |missing| write_all(&values(&[("memory.max", "1", missing)]), |_| Ok(&dir));
        let e = write(Missing::Fails).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unsupported);
        let text = e.to_string();
        assert!(text.contains("linux.resources.memory.limit") && text.contains("+memory"), "{text}");
        assert!(write(Missing::Holds).unwrap().is_empty());
        assert_eq!(write(Missing::Warns).unwrap().len(), 1);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn values_reach_their_files() {
        let dir = tempdir("reach");
        for file in ["memory.max", "memory.low"] {
            std::fs::write(dir.join(file), "").unwrap();
        }
        let all = values(&[("memory.max", "7", Missing::Fails), ("memory.low", "max", Missing::Fails)]);
        assert!(write_all(&all, |_| Ok(&dir)).unwrap().is_empty());
        assert_eq!(std::fs::read_to_string(dir.join("memory.max")).unwrap(), "7");
        assert_eq!(std::fs::read_to_string(dir.join("memory.low")).unwrap(), "max");
        std::fs::remove_dir_all(dir).unwrap();
    }

    fn tempdir(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("cgroup-values-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }
}
