//! Images made by skopeo, umoci and buildah, and broken ones.

use containers::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a script; its output when it fails.
pub fn shell(script: &str) {
    let out = Command::new("bash").args(["-euc", script]).output().unwrap();
    assert!(out.status.success(), "{script}\n{}", String::from_utf8_lossy(&out.stderr));
}

/// A folder with the sample image in all forms.
pub struct Made(PathBuf);

const SAMPLE: &str = r#"
    cd "$DIR"
    mkdir -p root/bin root/data root/opaque root/tmp root/etc root/dir
    cp /bin/busybox root/bin/busybox
    for a in sh cat ls stat readlink id echo true sleep touch pwd; do ln -s busybox root/bin/$a; done
    printf 'root:x:0:0::/:/bin/sh\n' > root/etc/passwd
    echo kept > root/data/kept; chmod 640 root/data/kept; chown 12:34 root/data/kept
    echo old > root/data/replaced; echo gone > root/data/gone; echo gone > root/dir/x
    echo old > root/opaque/old; chmod 1777 root/tmp
    cp root/bin/busybox root/bin/setuid; chmod 4755 root/bin/setuid; touch -d @1000000000 root/bin/setuid
    umoci init --layout layout
    umoci new --image layout:sample
    umoci unpack --image layout:sample bundle
    cp -a root/. bundle/rootfs/
    umoci repack --image layout:sample bundle
    rm -rf bundle
    umoci unpack --image layout:sample bundle
    cd bundle/rootfs
    echo new > data/replaced; rm data/gone; rm -r dir; rm -r opaque; mkdir opaque; echo new > opaque/new
    ln -s kept data/link; echo hard > data/hard; ln data/hard data/.hard2; mv data/.hard2 hard2
    cd ../..
    umoci repack --image layout:sample bundle
    umoci config --image layout:sample --config.env PATH=/bin --config.env GREETING=hello \
        --config.workingdir /data --config.cmd sh --config.label maker=test
    umoci gc --layout layout
"#;

impl Made {
    /// Makes it; `None`, with the reason, where the tools are missing.
    pub fn new(scratch: &Path) -> Option<Made> {
        for tool in ["umoci", "skopeo", "busybox"] {
            if !Command::new("sh")
                .args(["-c", &format!("command -v {tool}")])
                .output()
                .unwrap()
                .status
                .success()
            {
                eprintln!("passed over: there is no {tool}");
                return None;
            }
        }
        let dir = scratch.join("made");
        std::fs::create_dir_all(&dir).unwrap();
        let made = Made(dir);
        made.script(SAMPLE);
        Some(made)
    }

    fn script(&self, script: &str) {
        shell(&format!("DIR={}; cd $DIR; {{ {script}\n}} >/dev/null", self.0.display()));
    }

    /// The layout that umoci made.
    pub fn layout(&self) -> PathBuf {
        self.0.join("layout")
    }

    /// A docker-archive that skopeo made.
    pub fn docker_archive(&self) -> PathBuf {
        let path = self.0.join("docker.tar");
        if !path.exists() {
            self.script("skopeo copy oci:layout:sample docker-archive:docker.tar:sample/docker:1");
        }
        path
    }

    /// All forms: what it is, where, and the tag it gets.
    pub fn all(&self) -> Vec<(&'static str, PathBuf, &'static str)> {
        self.docker_archive();
        self.script(
            "tar -C layout -cf umoci.tar .
             gzip -k docker.tar; zstd -q umoci.tar
             skopeo copy oci:layout:sample oci-archive:oci.tar:registry.example:5000/a/b:2
             skopeo copy --dest-compress-format zstd oci:layout:sample oci:zstd:localhost/zstd:3
             skopeo copy --dest-decompress oci:layout:sample dir:plain-dir
             skopeo copy dir:plain-dir oci:plain:localhost/plain:4
             mkdir -p latest; cp -a layout latest/; cd latest/layout; umoci tag --image .:sample latest
             umoci rm --image .:sample",
        );
        let path = |name: &str| self.0.join(name);
        vec![
            ("umoci folder", self.layout(), "sample:latest"),
            ("umoci archive", path("umoci.tar"), "sample:latest"),
            ("umoci archive, zstd", path("umoci.tar.zst"), "sample:latest"),
            ("only a tag", path("latest/layout"), "layout:latest"),
            ("docker-archive", path("docker.tar"), "sample/docker:1"),
            ("docker-archive, gzip", path("docker.tar.gz"), "sample/docker:1"),
            ("oci-archive", path("oci.tar"), "registry.example:5000/a/b:2"),
            ("zstd layers", path("zstd"), "localhost/zstd:3"),
            ("layers that are not compressed", path("plain"), "localhost/plain:4"),
        ]
    }

    /// A root file system archive.
    pub fn rootfs(&self, compress: &str) -> PathBuf {
        let name = format!("rootfs.tar.{compress}");
        let pipe = if compress.is_empty() { "cat" } else { compress };
        self.script(&format!("tar -C root -c . | {pipe} > {name}"));
        self.0.join(name)
    }

    /// A docker-archive of layers that imply folders which lower layers describe, and of one that hides all.
    pub fn implied(&self) -> (PathBuf, PathBuf) {
        self.script(IMPLIED);
        (self.0.join("implied.tar"), self.0.join("hiding.tar"))
    }

    /// Broken forms: what it is, where, the error, and what its message has.
    pub fn bad(&self) -> Vec<(&'static str, PathBuf, ErrorKind, &'static str)> {
        use ErrorKind::{InvalidArgument, PathNotFound, Unsupported};
        self.docker_archive();
        self.script(BROKEN);
        let at = |name: &str| self.0.join("bad").join(name);
        vec![
            ("not there", at("nothing"), PathNotFound, "open"),
            ("empty folder", at("empty"), InvalidArgument, "neither an OCI layout"),
            ("empty file", at("empty.tar"), InvalidArgument, "neither an OCI layout"),
            ("no archive", at("text"), InvalidArgument, "archive"),
            ("truncated archive", at("truncated.tar"), InvalidArgument, "truncated"),
            ("truncated gzip", at("truncated.tar.gz"), InvalidArgument, "truncated"),
            ("xz", at("docker.tar.xz"), Unsupported, "xz"),
            ("no version", at("no-version"), Unsupported, "version"),
            ("no oci-layout", at("no-marker"), InvalidArgument, "oci-layout"),
            ("blob is a link", at("linked"), InvalidArgument, "link"),
            ("blob is missing", at("missing"), InvalidArgument, "missing"),
            ("blob is changed", at("changed"), InvalidArgument, "digest"),
            ("blob is short", at("short"), InvalidArgument, "bytes"),
            ("config is changed", at("config"), InvalidArgument, "digest"),
            ("names lead out", at("traversal.tar"), InvalidArgument, "leads out"),
            ("layer leads out", at("layer-out.tar"), InvalidArgument, "leads out"),
            ("layer is a link out", at("link-out.tar"), InvalidArgument, "leads out"),
            ("too few layers", at("few.tar"), InvalidArgument, "diff_ids"),
            ("layers in the wrong order", at("swapped.tar"), InvalidArgument, "digest"),
            ("bad tag", at("tag.tar"), InvalidArgument, "ref="),
        ]
    }
}

const IMPLIED: &str = r#"
    mkdir imp; cd imp
    cp -a ../root one; mkdir -p one/shared/deep one/gone one/left; echo low > one/shared/low
    chmod 1777 one/shared; chown 5:6 one/shared; chmod 700 one/shared/deep one/gone; chmod 555 one
    tar -C one -cf one.tar .
    mkdir -p two/shared/deep two/gone two/new two/left; echo x | tee two/shared/deep/x > two/shared/top
    echo x | tee two/gone/x > two/new/x; echo x > two/left/x; : > two/.wh.gone; chmod 750 two/left
    tar -C two -cf two.tar --no-recursion .wh.gone left left/x shared/deep/x shared/top gone/x new/x
    mkdir three; cp -a ../root/bin three/; : > three/.wh..wh..opq; echo only > three/only
    tar -C three -cf three.tar .wh..wh..opq bin only
    archive() {
        local name="$1"; shift
        python3 - "$name" "$@" <<'PY'
import hashlib, json, sys
name, layers = sys.argv[1], sys.argv[2:]
ids = ["sha256:" + hashlib.sha256(open(l, "rb").read()).hexdigest() for l in layers]
config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"]},
          "rootfs": {"type": "layers", "diff_ids": ids}}
open("config.json", "w").write(json.dumps(config))
open("manifest.json", "w").write(json.dumps([{"Config": "config.json", "RepoTags": [name + ":1"], "Layers": layers}]))
PY
        tar -cf ../$name.tar manifest.json config.json "$@"
    }
    archive implied one.tar two.tar
    archive hiding one.tar two.tar three.tar
"#;

const BROKEN: &str = r#"
    mkdir bad; cd bad
    mkdir empty; : > empty.tar; echo text that is no archive at all > text
    head -c 700000 ../docker.tar > truncated.tar; gzip -c ../docker.tar | head -c 500000 > truncated.tar.gz
    head -c 2000000 ../docker.tar | xz -0 > docker.tar.xz
    copy() { cp -a ../layout "$1"; }
    largest() { ls -S "$1"/blobs/sha256 | head -1; }
    smallest() { grep -l '"rootfs"' "$1"/blobs/sha256/* | head -1; }
    copy no-version; echo '{}' > no-version/oci-layout
    copy no-marker; rm no-marker/oci-layout
    copy linked; f=linked/blobs/sha256/$(largest linked); mv $f blob; ln -s "$PWD/blob" $f
    copy missing; rm missing/blobs/sha256/$(largest missing)
    copy changed; f=changed/blobs/sha256/$(largest changed); printf x | dd of=$f bs=1 seek=5000 conv=notrunc status=none
    copy short; truncate -s -1 short/blobs/sha256/$(largest short)
    copy config; sed -i s/hello/jello/ "$(smallest config)"
    tar -cPf traversal.tar --transform 's,^text$,../../outside,' text
    mkdir d; tar -C d -xf ../docker.tar; chmod -R u+w d
    pack() { tar -C d -cf "$1" .; }
    cp d/manifest.json manifest
    edit() { python3 -c "import json,sys; m=json.load(open('manifest')); i=m[0]; exec(sys.argv[1]); json.dump(m,open('d/manifest.json','w'))" "$1"; }
    edit 'i["Layers"][0] = "../../etc/passwd"'; pack layer-out.tar
    edit 'i["Layers"].pop()'; pack few.tar
    edit 'i["Layers"].reverse()'; pack swapped.tar
    edit 'i["RepoTags"] = ["Not A Tag"]'; pack tag.tar
    edit 'i["Layers"][0] = "linked.tar"'; ln -s ../../etc/passwd d/linked.tar; pack link-out.tar
"#;
