//! What other tools write is read as they read it.

use super::{Place, is_root, request, snapshot};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

fn run(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// A tree with one of everything.
fn sample(at: &Path) {
    let script = r#"
        set -e
        mkdir -p "$1" && cd "$1"
        mkdir -p a/b/c empty "sp ace"
        printf hello > a/file; printf '' > a/b/nothing; head -c 3000000 /dev/urandom > a/b/c/large
        ln a/file a/hard; ln -s ../a/file a/b/rel; ln -s /etc/passwd abs; ln -s nowhere dangling
        mkfifo fifo; chmod 1777 empty; chmod 4755 a/file; chmod 2750 a/b
        touch -d '1960-01-01 00:00:00.5 UTC' "sp ace/old"; touch -d '2001-02-03 04:05:06.789012345 UTC' a/b/nothing
        truncate -s 10M sparse; printf x | dd of=sparse bs=1 seek=5000000 conv=notrunc 2>/dev/null
        n=$(printf 'n%.0s' $(seq 200)); mkdir -p "$n/$n"; printf long > "$n/$n/$n"; ln -s "$n/$n/$n" longlink
        printf latin > "$(printf 'caf\351')"; printf star > 'a/*?[x]'; printf nl > "$(printf 'new\nline')"
        if [ "$(id -u)" = 0 ]; then chown 1234:4321 a/b/nothing; chown -h 7:8 abs; chown 70000:70000 empty; fi
        touch -d '2020-01-01 UTC' a/b/c a/b a .
    "#;
    assert!(run(Command::new("bash").args(["-c", script, "bash"]).arg(at)));
}

fn compare(what: &str, make: impl Fn(&Path, &Path) -> bool, nanoseconds: bool) {
    let place = Place::new();
    let source = place.path.join("source");
    sample(&source);
    let archive = place.path.join("archive.tar");
    if !make(&source, &archive) {
        eprintln!("skipped {what}: the tool is not there or can't do it");
        return;
    }
    place
        .unpack_fd(&request(), File::open(&archive).unwrap().into())
        .unwrap_or_else(|e| panic!("{what}: {e:?}"));
    let peer = place.path.join("peer");
    std::fs::create_dir(&peer).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "-xpf"]).arg(&archive).arg("-C").arg(&peer);
    assert!(run(&mut tar), "{what}");
    let (mut ours, mut theirs) = (snapshot(&place.tree()), snapshot(&peer));
    if !is_root() || !nanoseconds {
        for all in [&mut ours, &mut theirs] {
            all.values_mut().for_each(|line| *line = shorten(line));
        }
    }
    let differ: Vec<_> = ours.iter().filter(|(k, v)| theirs.get(*k) != Some(v)).collect();
    assert!(differ.is_empty() && ours.len() == theirs.len(), "{what}: {differ:?}");
}

fn shorten(line: &str) -> String {
    let mut fields: Vec<&str> = line.splitn(4, ' ').collect();
    if !is_root() {
        fields[1] = "-";
    }
    fields[2] = fields[2].split('.').next().unwrap();
    fields.join(" ")
}

#[test]
fn gnu_tar_in_all_its_formats() {
    for format in ["gnu", "posix", "oldgnu"] {
        for sparse in [None, Some("0.0"), Some("0.1"), Some("1.0")] {
            let make = |source: &Path, archive: &Path| {
                let mut tar = Command::new("tar");
                tar.arg(format!("--format={format}")).arg("-C").arg(source).arg("-cf").arg(archive);
                if let Some(version) = sparse {
                    tar.arg("--sparse");
                    if format == "posix" {
                        tar.arg(format!("--sparse-version={version}"));
                    }
                }
                run(tar.arg("."))
            };
            compare(&format!("{format} {sparse:?}"), make, format == "posix");
        }
    }
}

#[test]
fn python_and_other_writers() {
    for format in ["USTAR_FORMAT", "GNU_FORMAT", "PAX_FORMAT"] {
        let script = "import sys, tarfile\n\
            t = tarfile.open(sys.argv[2], 'w', format=getattr(tarfile, sys.argv[3]), errors='surrogateescape')\n\
            t.add(sys.argv[1], '.')\nt.close()";
        let make = |source: &Path, archive: &Path| {
            run(Command::new("python3").args(["-c", script]).arg(source).arg(archive).arg(format))
        };
        compare(format, make, false);
    }
    compare(
        "bsdtar",
        |source, archive| run(Command::new("bsdtar").arg("-cf").arg(archive).arg("-C").arg(source).arg(".")),
        false,
    );
}

/// Unpacks the archive that `CONTAINERS_ARCHIVE` names (`gzip` and `zstd` by its ending), for measuring:
/// `cargo test --release -p containers-init speed -- --ignored --nocapture`.
#[test]
#[ignore = "measures, and needs an archive"]
fn speed() {
    use containers_protocol::unpack::Compression;
    let path = std::env::var("CONTAINERS_ARCHIVE").expect("CONTAINERS_ARCHIVE names an archive");
    let mut request = request();
    request.max_bytes = 1 << 40;
    request.max_entries = 1 << 30;
    request.compression = match path.rsplit('.').next() {
        Some("gz") => Compression::Gzip,
        Some("zst") => Compression::Zstd,
        _ => Compression::None,
    };
    for _ in 0..3 {
        let place = Place::new();
        let started = std::time::Instant::now();
        let unpacked = place.unpack_fd(&request, File::open(&path).unwrap().into()).unwrap();
        eprintln!("{:?} for {} entries, {} bytes", started.elapsed(), unpacked.entries, unpacked.bytes);
    }
}
