//! Which files of the host's `/etc` are shown, and as what.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Files and folders below `/etc`. A `*` at the end of a name stands for any rest. Not among them: what holds
/// secrets somewhere (`environment`, `gitconfig`, `npmrc`, `pip.conf`, `apt`), identities of the machine
/// (`machine-id`, `hostname`, `ssh`), and rights (`shadow`, `sudoers`, `pam.d`, `subuid`, `security`).
const SHOWN: &[&str] = &[
    "alpine-release",
    "alternatives",
    "bash.bashrc",
    "bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "csh.cshrc",
    "debian_version",
    "default/locale",
    "ethertypes",
    "fedora-release",
    "fonts",
    "gai.conf",
    "group",
    "host.conf",
    "inputrc",
    "java",
    "java-*",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "login.defs",
    "lsb-release",
    "magic",
    "magic.mime",
    "mailcap",
    "manpath.config",
    "mime.types",
    "mtab",
    "nanorc",
    "networks",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "perl",
    "pki/ca-trust",
    "pki/java",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "profile",
    "profile.d",
    "protocols",
    "python*",
    "redhat-release",
    "rpc",
    "services",
    "shells",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "system-release",
    "terminfo",
    "timezone",
    "vim",
    "vimrc",
    "xattr.conf",
    "xdg/user-dirs.defaults",
];

/// Endings of names that are never shown: backups, keys, what packages put aside.
const HIDDEN: &[&str] = &[
    "-",
    "~",
    ".bak",
    ".old",
    ".orig",
    ".key",
    ".keytab",
    ".p12",
    ".pfx",
    ".jks.bak",
    ".dpkg-old",
    ".dpkg-new",
    ".dpkg-dist",
    ".dpkg-tmp",
    ".rpmsave",
    ".rpmnew",
    ".lock",
    ".swp",
    ".password",
];

/// The largest file that is copied.
const MAX_FILE: u64 = 16 << 20;
/// The most entries and bytes in all.
const MAX_ENTRIES: usize = 20_000;
const MAX_BYTES: u64 = 128 << 20;
/// Folders in folders.
const MAX_DEPTH: usize = 8;

/// One thing to show, by its path below `/etc`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Folder(PathBuf),
    File { path: PathBuf, mode: u32, mtime: (i64, u32), identity: [u64; 4] },
    Link { path: PathBuf, target: PathBuf },
}

/// What of `etc` is shown. What can't be read is not.
pub(super) fn list(etc: &Path) -> Vec<Item> {
    let mut walk = Walk { etc, items: Vec::new(), bytes: 0 };
    for shown in SHOWN {
        match shown.strip_suffix('*') {
            Some(start) => walk.matching(start),
            None => {
                if let Some((folder, _)) = shown.rsplit_once('/') {
                    walk.way_to(Path::new(folder));
                }
                walk.add(PathBuf::from(shown), 0);
            }
        }
    }
    walk.items
}

struct Walk<'a> {
    etc: &'a Path,
    items: Vec<Item>,
    bytes: u64,
}

impl Walk<'_> {
    fn matching(&mut self, start: &str) {
        let Ok(entries) = std::fs::read_dir(self.etc) else { return };
        let mut names: Vec<_> = entries.flatten().map(|e| e.file_name()).collect();
        names.sort();
        for name in names {
            if name.as_bytes().starts_with(start.as_bytes()) {
                self.add(PathBuf::from(name), 0);
            }
        }
    }

    /// Folders above something that is shown.
    fn way_to(&mut self, folder: &Path) {
        let mut above: Vec<&Path> = folder.ancestors().filter(|p| !p.as_os_str().is_empty()).collect();
        above.reverse();
        for path in above {
            let known = self.items.iter().any(|i| matches!(i, Item::Folder(p) if p == path));
            if !known && self.etc.join(path).symlink_metadata().is_ok_and(|m| m.is_dir()) {
                self.items.push(Item::Folder(path.to_path_buf()));
            }
        }
    }

    fn add(&mut self, path: PathBuf, depth: usize) {
        let hidden = path.file_name().is_none_or(|name| is_hidden(name.as_bytes()));
        if hidden || depth > MAX_DEPTH || self.items.len() >= MAX_ENTRIES {
            return;
        }
        let whole = self.etc.join(&path);
        let Ok(meta) = whole.symlink_metadata() else { return };
        if meta.is_dir() {
            self.folder(path, &meta, depth);
        } else if meta.is_symlink() {
            if let Ok(target) = std::fs::read_link(&whole) {
                self.items.push(Item::Link { path, target });
            }
        } else if meta.is_file() && meta.mode() & 0o004 != 0 && meta.len() <= MAX_FILE {
            self.bytes += meta.len();
            if self.bytes <= MAX_BYTES {
                let identity =
                    [meta.ino(), meta.dev(), meta.len(), meta.ctime_nsec() as u64 ^ meta.ctime() as u64];
                let mtime = (meta.mtime(), meta.mtime_nsec() as u32);
                self.items.push(Item::File { path, mode: meta.mode() & 0o755, mtime, identity });
            }
        }
    }

    fn folder(&mut self, path: PathBuf, meta: &Metadata, depth: usize) {
        if meta.mode() & 0o005 != 0o005 {
            return;
        }
        let Ok(entries) = std::fs::read_dir(self.etc.join(&path)) else { return };
        let mut names: Vec<_> = entries.flatten().map(|e| e.file_name()).collect();
        names.sort();
        self.items.push(Item::Folder(path.clone()));
        for name in names {
            self.add(path.join(name), depth + 1);
        }
    }
}

fn is_hidden(name: &[u8]) -> bool {
    let private = name.windows(7).any(|w| w.eq_ignore_ascii_case(b"private")) || name.ends_with(b"shadow");
    private || HIDDEN.iter().any(|end| name.ends_with(end.as_bytes()))
}

/// The content to show of a file; `None`: it holds a private key, or is no plain file any more.
pub(super) fn content(etc: &Path, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = File::options().read(true).custom_flags(flags).open(etc.join(path))?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.mode() & 0o004 == 0 {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    const KEY: &[u8] = b"PRIVATE KEY-----";
    if bytes.windows(KEY.len()).any(|w| w == KEY) {
        return Ok(None);
    }
    if matches!(path.to_str(), Some("passwd" | "group")) {
        bytes = without_passwords(&bytes);
    }
    Ok(Some(bytes))
}

/// Old systems have password hashes in the second field.
fn without_passwords(table: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(table.len());
    for line in table.split_inclusive(|b| *b == b'\n') {
        let mut fields = line.splitn(3, |b| *b == b':');
        match (fields.next(), fields.next(), fields.next()) {
            (Some(name), Some(_), Some(rest)) => out.extend([name, b":x:", rest].concat()),
            _ => out.extend(line),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_listed_readable_plain_files_are_shown() {
        let dir = crate::image::store::scratch();
        let etc = dir.path();
        let write = |name: &str, content: &str, mode: u32| {
            let path = etc.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        };
        write("passwd", "root:$1$hash:0:0::/root:/bin/sh\n+\n", 0o644);
        write("passwd-", "old", 0o644);
        write("shadow", "secret", 0o640);
        write("gshadow", "secret", 0o644);
        write("machine-id", "id", 0o444);
        write("ssh/ssh_host_rsa_key", "secret", 0o600);
        write("ssl/private/x.key", "secret", 0o644);
        write("ssl/certs/ca.pem", "public", 0o644);
        write("ssl/certs/mixed.pem", "-----BEGIN PRIVATE KEY-----", 0o644);
        write("ssl/certs/server.key", "secret", 0o644);
        write("profile.d/a.sh", "x", 0o755);
        write("profile.d/secret.sh", "x", 0o600);
        write("python3.11/site.py", "x", 0o644);
        write("sudoers", "x", 0o644);
        write("environment", "TOKEN=1", 0o644);
        symlink("../usr/lib/os-release", etc.join("os-release")).unwrap();
        let items = list(etc);
        let shown: Vec<String> = items
            .iter()
            .map(|i| match i {
                Item::Folder(p) | Item::File { path: p, .. } | Item::Link { path: p, .. } => {
                    p.display().to_string()
                }
            })
            .collect();
        assert_eq!(
            shown,
            [
                "os-release",
                "passwd",
                "profile.d",
                "profile.d/a.sh",
                "python3.11",
                "python3.11/site.py",
                "ssl",
                "ssl/certs",
                "ssl/certs/ca.pem",
                "ssl/certs/mixed.pem"
            ]
        );
        assert_eq!(content(etc, Path::new("ssl/certs/mixed.pem")).unwrap(), None);
        assert_eq!(content(etc, Path::new("shadow")).unwrap(), None);
        assert_eq!(content(etc, Path::new("passwd")).unwrap().unwrap(), b"root:x:0:0::/root:/bin/sh\n+\n");
    }
}
