//! Mounts, volumes, tmpfs and devices, from docker's forms.

use super::parse::{bad, size, unsupported};
use crate::container::{CreateOptions, MountSpec, SizeSpec};
use crate::{Error, ErrorKind, ImageConfig, Result};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// One mount of the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UserMount {
    /// Something of the host.
    Bind {
        /// Absolute, without links.
        source: String,
        /// Device and inode of the source.
        identity: (u64, u64),
        /// In the container.
        target: String,
        /// With everything below.
        read_only: bool,
        /// Mounts below the source, too.
        recursive: bool,
        /// `MS_PRIVATE`, `MS_SLAVE` or `MS_SHARED`, perhaps with `MS_REC`.
        propagation: u64,
        /// `nosuid`, `nodev`, `noexec`.
        flags: Vec<String>,
    },
    /// Memory.
    Tmpfs {
        /// In the container.
        target: String,
        /// `key` or `key=value` for the kernel.
        options: Vec<(String, Option<String>)>,
        /// Read-only.
        read_only: bool,
        /// Names of flags such as `exec` or `nosuid`.
        flags: Vec<String>,
    },
    /// A folder that the image declares as a volume, in the container's writable layer.
    Volume {
        /// In the container.
        target: String,
        /// It is inside another mount.
        below: bool,
    },
}

impl UserMount {
    /// Where it goes.
    pub(crate) fn target(&self) -> &str {
        match self {
            UserMount::Bind { target, .. }
            | UserMount::Tmpfs { target, .. }
            | UserMount::Volume { target, .. } => target,
        }
    }
}

/// One device of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceSpec {
    /// On the host.
    pub(crate) source: String,
    /// In the container.
    pub(crate) target: String,
    /// File type and mode bits.
    pub(crate) mode: u32,
    /// Device number.
    pub(crate) rdev: u64,
    /// Owner and group.
    pub(crate) owner: (u32, u32),
}

/// All mounts of a container, those nearer to the root first.
pub(crate) fn mounts(options: &CreateOptions, image: &ImageConfig) -> Result<Vec<UserMount>> {
    let mut all = Vec::new();
    for (path, flags) in &options.tmpfs {
        all.push(tmpfs(path, flags)?);
    }
    for volume in &options.volumes {
        all.push(short_form(volume)?);
    }
    for mount in &options.mounts {
        all.push(long_form(mount)?);
    }
    image_volumes(image, &mut all)?;
    // A mount must come before one inside it, in whatever order they were named.
    all.sort_by_key(|m| m.target().matches('/').count());
    for (i, mount) in all.iter().enumerate() {
        if all[..i].iter().any(|m| m.target() == mount.target()) {
            return Err(bad("mounts", format!("two mounts have the same target: {}", mount.target())));
        }
    }
    Ok(all)
}

/// What the image declares as volumes, where the caller mounts nothing.
fn image_volumes(image: &ImageConfig, all: &mut Vec<UserMount>) -> Result<()> {
    let mounts = all.len();
    for target in declared(image)? {
        if all.iter().any(|m| m.target() == target) {
            continue;
        }
        let below = all[..mounts].iter().any(|m| is_inside(&target, m.target()));
        all.push(UserMount::Volume { target, below });
    }
    Ok(())
}

/// Paths that the image declares as volumes. What is in the kernel's folders is not the image's.
pub(super) fn declared(image: &ImageConfig) -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for path in &image.volumes {
        let target = target(path, "volumes").map_err(|e| {
            Error::new(ErrorKind::InvalidArgument, format!("the image's volume: {}", e.message()))
                .with_context("field", "volumes")
        })?;
        if !["/proc", "/sys", "/dev"].iter().any(|k| target == *k || is_inside(&target, k)) {
            targets.push(target);
        }
    }
    Ok(targets)
}

fn is_inside(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

/// A path in the container, without `.`, doubled and trailing slashes.
pub(super) fn target(path: &str, field: &'static str) -> Result<String> {
    if !path.starts_with('/') || path.contains('\0') {
        return Err(bad(field, format!("a mount's target must be an absolute path: `{path}`")));
    }
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    if parts.contains(&"..") {
        return Err(bad(field, format!("a mount's target can't contain `..`: `{path}`")));
    }
    if parts.is_empty() {
        return Err(bad(field, "a mount can't replace the root file system"));
    }
    Ok(format!("/{}", parts.join("/")))
}

fn bind(
    source: &str,
    to: &str,
    read_only: bool,
    propagation: &str,
    create: bool,
    flags: Vec<String>,
    field: &'static str,
) -> Result<UserMount> {
    let target = target(to, field)?;
    if !source.starts_with('/') || source.contains('\0') {
        return Err(bad(field, format!("a mount's source must be an absolute path: `{source}`")));
    }
    let (recursive, propagation) = propagation_of(propagation, field)?;
    let path = Path::new(source);
    if create && !path.exists() {
        std::fs::create_dir_all(path)
            .map_err(|e| source_error("can't make the mount's source", source, e, field))?;
    }
    let real =
        path.canonicalize().map_err(|e| source_error("can't find the mount's source", source, e, field))?;
    let meta =
        real.metadata().map_err(|e| source_error("can't look at the mount's source", source, e, field))?;
    let source =
        real.into_os_string().into_string().map_err(|_| bad(field, "the source's path is not UTF-8"))?;
    Ok(UserMount::Bind {
        source,
        identity: (meta.dev(), meta.ino()),
        target,
        read_only,
        recursive,
        propagation,
        flags,
    })
}

fn source_error(what: &str, source: &str, e: std::io::Error, field: &'static str) -> Error {
    Error::io(what, e).with_context("field", field).with_context("path", source)
}

/// Whether it is recursive, and the mount flags.
fn propagation_of(text: &str, field: &'static str) -> Result<(bool, u64)> {
    let rec = libc::MS_REC;
    Ok(match text {
        "" | "rprivate" => (true, libc::MS_PRIVATE | rec),
        "private" => (true, libc::MS_PRIVATE),
        "rslave" => (true, libc::MS_SLAVE | rec),
        "slave" => (true, libc::MS_SLAVE),
        // Through the launcher's namespace, which gets what the host mounts but gives nothing back.
        "rshared" | "shared" => {
            return Err(unsupported(
                field,
                "shared propagation would let mounts of the container out to the host; use rslave to see the \
                 host's later mounts",
            ));
        }
        _ => {
            return Err(bad(
                field,
                format!("no such propagation: `{text}` (rprivate, private, rslave, slave)"),
            ));
        }
    })
}

/// `source:target[:options]`.
fn short_form(text: &str) -> Result<UserMount> {
    const FIELD: &str = "volumes";
    let parts: Vec<&str> = text.split(':').collect();
    let (source, to, options) = match parts.as_slice() {
        [target] if target.starts_with('/') => {
            return Err(anonymous(FIELD));
        }
        [source, to] => (*source, *to, ""),
        [source, to, options] => (*source, *to, *options),
        _ => return Err(bad(FIELD, format!("not `source:target[:options]`: `{text}`"))),
    };
    let (mut read_only, mut propagation) = (false, "");
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option {
            "ro" => read_only = true,
            // Labels and consistency are hints that mean nothing here, and docker passes over them too.
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" => {}
            "nocopy" => {}
            "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared" => propagation = option,
            _ => return Err(bad(FIELD, format!("no such mount option: `{option}` in `{text}`"))),
        }
    }
    if !source.starts_with('/') {
        return named(source, FIELD);
    }
    bind(source, to, read_only, propagation, false, Vec::new(), FIELD)
}

fn anonymous(field: &'static str) -> Error {
    unsupported(field, "anonymous volumes are not built yet; name a host path as the source, or use a tmpfs")
}

/// What is no path is a volume's name.
fn named(source: &str, field: &'static str) -> Result<UserMount> {
    if source.is_empty() || source.contains('/') || source.starts_with('.') {
        return Err(bad(field, format!("a mount's source must be an absolute path: `{source}`")));
    }
    let why = format!(
        "named volumes are not built yet: `{source}`; mount a folder of the host by its absolute path"
    );
    Err(unsupported(field, why))
}

/// The type of a mount; one that is not named follows from the source.
pub(super) fn kind(m: &MountSpec) -> &str {
    match m.kind.as_str() {
        "" if m.source.contains('/') => "bind",
        "" => "volume",
        kind => kind,
    }
}

fn long_form(m: &MountSpec) -> Result<UserMount> {
    const FIELD: &str = "mounts";
    let kind = kind(m);
    if kind != "tmpfs" && (m.tmpfs_size.is_some() || m.tmpfs_mode.is_some()) {
        return Err(bad(FIELD, "tmpfs_size and tmpfs_mode are for mounts of type tmpfs"));
    }
    match kind {
        "bind" => bind(&m.source, &m.target, m.read_only, &m.propagation, m.create_source, Vec::new(), FIELD),
        "volume" if m.source.is_empty() => {
            target(&m.target, FIELD)?;
            Err(anonymous(FIELD))
        }
        "volume" => named(&m.source, FIELD),
        "tmpfs" => {
            if !m.source.is_empty() || !m.propagation.is_empty() || m.create_source {
                return Err(bad(FIELD, "a tmpfs has neither source nor propagation"));
            }
            let mut options = Vec::new();
            if let Some(spec) = &m.tmpfs_size {
                options.push(("size".into(), Some(size(spec, FIELD)?.to_string())));
            }
            let mode = m.tmpfs_mode.unwrap_or(0o1777);
            if mode > 0o7777 {
                return Err(bad(FIELD, format!("not a file mode: {mode:o}")));
            }
            options.push(("mode".into(), Some(format!("{mode:o}"))));
            Ok(UserMount::Tmpfs {
                target: target(&m.target, FIELD)?,
                options,
                read_only: m.read_only,
                flags: Vec::new(),
            })
        }
        other => Err(bad(FIELD, format!("no such type of mount: `{other}` (bind, tmpfs, volume)"))),
    }
}

/// `path` and `size=64m,mode=1777,noexec`.
fn tmpfs(path: &str, text: &str) -> Result<UserMount> {
    const FIELD: &str = "tmpfs";
    let target = target(path, FIELD)?;
    let (mut options, mut flags, mut read_only) = (Vec::new(), Vec::new(), false);
    for option in text.split(',').filter(|o| !o.is_empty()) {
        let (key, value) = option.split_once('=').map_or((option, None), |(k, v)| (k, Some(v)));
        let digits = |v: &str, radix| u64::from_str_radix(v, radix).is_ok();
        match (key, value) {
            ("size", Some(v)) if v.ends_with('%') && digits(&v[..v.len() - 1], 10) => {
                options.push((key.into(), Some(v.into())));
            }
            ("size", Some(v)) => {
                let bytes = size(&SizeSpec::Text(v.into()), FIELD)?;
                options.push((key.into(), Some(bytes.to_string())));
            }
            ("mode", Some(v)) if digits(v, 8) => options.push((key.into(), Some(v.into()))),
            ("uid" | "gid" | "nr_inodes" | "nr_blocks", Some(v)) if digits(v, 10) => {
                options.push((key.into(), Some(v.into())));
            }
            ("ro", None) => read_only = true,
            ("rw", None) => {}
            ("exec" | "noexec" | "suid" | "nosuid" | "dev" | "nodev" | "noatime", None) => {
                flags.push(key.into())
            }
            _ => return Err(bad(FIELD, format!("no such tmpfs option: `{option}`"))),
        }
    }
    if !options.iter().any(|(k, _)| k == "mode") {
        options.push(("mode".into(), Some("1777".into())));
    }
    Ok(UserMount::Tmpfs { target, options, read_only, flags })
}

/// `source[:target[:rwm]]`.
pub(crate) fn device(text: &str) -> Result<DeviceSpec> {
    const FIELD: &str = "devices";
    let parts: Vec<&str> = text.split(':').collect();
    let is_access = |s: &str| !s.is_empty() && s.bytes().all(|b| b"rwm".contains(&b));
    let (source, to, access) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, access] if is_access(access) => (*source, *source, *access),
        [source, to] => (*source, *to, "rwm"),
        [source, to, access] if is_access(access) => (*source, *to, *access),
        _ => return Err(bad(FIELD, format!("not `source[:target[:rwm]]`: `{text}`"))),
    };
    if !(access.contains('r') && access.contains('w')) {
        let why = "access to a device can't be narrowed to reading or writing yet; give it as rw or rwm";
        return Err(unsupported(FIELD, why));
    }
    if !source.starts_with('/') || source.contains('\0') {
        return Err(bad(FIELD, format!("a device's path must be absolute: `{source}`")));
    }
    let target = target(to, FIELD)?;
    let meta =
        std::fs::metadata(source).map_err(|e| source_error("can't find the device", source, e, FIELD))?;
    let kind = meta.mode() & libc::S_IFMT;
    if kind != libc::S_IFCHR && kind != libc::S_IFBLK {
        let e = Error::new(ErrorKind::InvalidArgument, format!("not a device: `{source}`"));
        return Err(e.with_context("field", FIELD).with_context("path", source));
    }
    Ok(DeviceSpec {
        source: source.to_owned(),
        target,
        mode: meta.mode(),
        rdev: meta.rdev(),
        owner: (meta.uid(), meta.gid()),
    })
}
