//! Images made by other tools, loaded and run.

mod common;
#[path = "images/made.rs"]
mod made;

use common::{Fixture, entries, is_root, open, run};
use containers::blocking::block_on;
use containers::{Error, ErrorKind, Image, ImportOptions, LoadOptions, PullEvent};
use made::{Made, shell};
use serde_json::json;
use std::path::Path;
use std::sync::{Arc, Mutex};

fn load(f: &Fixture, path: &Path) -> Result<Vec<Image>, Error> {
    block_on(f.rt.images().load(path, LoadOptions::default()))
}

fn output(f: &Fixture, image: &str, script: &str) -> String {
    let out = block_on(f.rt.containers().run(image, ["sh", "-c", script])).unwrap();
    assert_eq!(out.exit_code, 0, "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// What the layers of the sample image come to, whoever packed them.
fn check_sample(f: &Fixture, image: &Image) {
    let id = image.id().to_owned();
    assert_eq!(output(f, &id, "cat /data/kept /data/replaced"), "kept\nnew\n");
    assert_eq!(
        output(f, &id, "ls -A /data /opaque"),
        "/data:\nhard\nkept\nlink\nreplaced\n\n/opaque:\nnew\n"
    );
    assert_eq!(output(f, &id, "stat -c '%a %u:%g %Y' /bin/setuid"), "4755 0:0 1000000000\n");
    assert_eq!(output(f, &id, "stat -c '%a %u:%g' /data/kept"), "640 12:34\n");
    assert_eq!(output(f, &id, "stat -c '%a' /tmp /opaque"), "1777\n755\n");
    assert_eq!(output(f, &id, "readlink /data/link; stat -c %h /data/hard"), "kept\n2\n");
    assert_eq!(output(f, &id, "echo $GREETING; pwd"), "hello\n/data\n");
    assert_eq!(image.config().labels["maker"], "test");
}

#[test]
fn layouts_and_archives_of_all_tools() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let Some(made) = Made::new(&f.scratch.0) else { return };
    let mut ids = Vec::new();
    for (what, path, tag) in made.all() {
        let images = load(&f, &path).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(images.len(), 1, "{what}");
        assert_eq!(images[0].tags(), [tag], "{what}");
        check_sample(&f, &images[0]);
        ids.push(images[0].id().to_owned());
        let inspected = f.rt.images().get(tag).unwrap().inspect().unwrap();
        assert_eq!(inspected["Id"], images[0].id(), "{what}");
        assert_eq!(
            inspected["Config"]["Env"][0].as_str().map(|e| e.starts_with("PATH")),
            Some(true),
            "{what}"
        );
        f.rt.images().remove(images[0].id(), true).unwrap();
        assert_eq!(f.rt.images().list().unwrap().len(), 0, "{what}");
        assert!(entries(&f.root().join("layers")).is_empty(), "{what}");
        assert!(entries(&f.root().join("blobs/sha256")).is_empty(), "{what}");
    }
    f.finish();
}

#[test]
fn several_images_share_layers_and_names() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let Some(made) = Made::new(&f.scratch.0) else { return };
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = events.clone();
    let mut options = LoadOptions::default();
    options.progress = Some(Arc::new(move |e| seen.lock().unwrap().push(e)));
    let first = block_on(f.rt.images().load(made.layout(), options.clone())).unwrap().remove(0);
    let extracted =
        |events: &[PullEvent]| events.iter().filter(|e| matches!(e, PullEvent::Done { .. })).count();
    assert_eq!(extracted(&events.lock().unwrap()), 2);
    events.lock().unwrap().clear();
    let again = block_on(f.rt.images().load(made.docker_archive(), options)).unwrap().remove(0);
    assert_eq!(extracted(&events.lock().unwrap()), 0, "layers are shared");
    assert!(matches!(events.lock().unwrap().last(), Some(PullEvent::Complete { fetched: false, .. })));
    assert_eq!(entries(&f.root().join("layers")).len(), 2);
    // The same configuration makes the same image.
    assert_eq!(first.id(), again.id());

    let images = f.rt.images();
    again.tag("other/name:2").unwrap();
    let short = &first.id()["sha256:".len()..][..12];
    for name in ["other/name:2", "docker.io/other/name:2", short, first.id(), &first.id()["sha256:".len()..]]
    {
        assert_eq!(images.get(name).unwrap().id(), first.id(), "{name}");
    }
    let missing = images.get("other/name:3").unwrap_err();
    assert_eq!((missing.kind(), missing.operation()), (ErrorKind::ImageNotFound, "image.get"));
    for bad in ["a/Upper", "a//b", "", "name:ta g"] {
        assert_eq!(images.get(bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad:?}");
        assert_eq!(first.tag(bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad:?}");
    }
    assert_eq!(images.remove(short, false).unwrap_err().kind(), ErrorKind::Conflict);
    images.remove("other/name:2", false).unwrap();
    assert_eq!(images.get(short).unwrap().tags().len(), 2);
    let history = first.history();
    assert!(!history.is_empty() && history.iter().map(|h| h.size).sum::<u64>() == first.size());
    f.finish();
}

#[test]
fn an_image_in_use_is_not_removed() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let Some(made) = Made::new(&f.scratch.0) else { return };
    let image = load(&f, &made.layout()).unwrap().remove(0);
    let options = common::create(json!({"command": ["sleep", "60"]}));
    let container = block_on(f.rt.containers().create_with(image.id(), options)).unwrap();
    block_on(container.start()).unwrap();
    let e = f.rt.images().remove(image.id(), false).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InUse, "{e}");
    // By force it loses its names; the container goes on.
    f.rt.images().remove(image.id(), true).unwrap();
    assert!(f.rt.images().list().unwrap().is_empty());
    assert_eq!(entries(&f.root().join("layers")).len(), 2);
    block_on(container.remove(serde_json::from_value(json!({"force": true})).unwrap())).unwrap();
    let image = load(&f, &made.layout()).unwrap().remove(0);
    f.rt.images().remove(image.id(), true).unwrap();
    assert!(entries(&f.root().join("layers")).is_empty());
    f.finish();
}

#[test]
fn a_damaged_layer_is_named_and_repaired() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let Some(made) = Made::new(&f.scratch.0) else { return };
    let image = load(&f, &made.layout()).unwrap().remove(0);
    let layers = f.root().join("layers");
    let lost = entries(&layers).remove(0);
    std::fs::remove_dir_all(layers.join(&lost)).unwrap();
    let e = block_on(f.rt.containers().run(image.id(), ["true"])).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
    assert!(e.to_string().contains(&lost), "{e}");
    // It blocks nothing else.
    assert_eq!(f.rt.images().list().unwrap().len(), 1);
    assert_eq!(block_on(f.rt.containers().run("host", ["true"])).unwrap().exit_code, 0);
    let again = load(&f, &made.layout()).unwrap().remove(0);
    check_sample(&f, &again);
    f.finish();
}

#[test]
fn bad_files_are_refused_and_leave_nothing() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let Some(made) = Made::new(&f.scratch.0) else { return };
    for (what, path, kind, part) in made.bad() {
        let e = load(&f, &path).map(|images| format!("{what}: {images:?}")).unwrap_err();
        assert_eq!(e.kind(), kind, "{what}: {e}");
        assert!(e.to_string().contains(part), "{what}: {e}");
        assert_eq!(e.operation(), "image.load", "{what}");
        assert!(e.to_string().contains(path.to_str().unwrap()), "{what}: {e}");
        assert!(entries(&f.root().join("layers")).is_empty(), "{what}");
        common::eventually(what, || entries(&f.root().join("tmp")).is_empty());
    }
    assert!(f.rt.images().list().unwrap().is_empty());
    f.finish();
}

#[test]
fn imports() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let Some(made) = Made::new(&f.scratch.0) else { return };
    for compress in ["", "gzip", "zstd"] {
        let archive = made.rootfs(compress);
        let mut options = ImportOptions::default();
        options.tag = Some("imported:1".into());
        options.message = Some("by a test".into());
        options.changes =
            ["ENTRYPOINT [\"/bin/sh\", \"-c\"]", "CMD echo $A", "ENV A=b", "WORKDIR /data", "USER 12:34"]
                .map(String::from)
                .to_vec();
        options.changes[1] = "CMD [\"echo $A; id -u; pwd\"]".into();
        let image = block_on(f.rt.images().import_(&archive, options)).unwrap();
        assert_eq!(image.tags(), ["imported:1"]);
        let out = block_on(f.rt.containers().run_with("imported:1", run(json!({})))).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&out.stdout),
            "b\n12\n/data\n",
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        assert_eq!(image.history()[0].comment, "by a test");
    }
    // One layer under three names; what lost its name is still there.
    assert_eq!(entries(&f.root().join("layers")).len(), 1);
    assert_eq!(f.rt.images().list().unwrap().iter().filter(|i| i.tags.is_empty()).count(), 2);
    let bad =
        |path: &Path, options: ImportOptions| block_on(f.rt.images().import_(path, options)).unwrap_err();
    let mut options = ImportOptions::default();
    options.changes = vec!["RUN rm -rf /".into()];
    assert_eq!(bad(&made.rootfs(""), options).kind(), ErrorKind::InvalidArgument);
    assert_eq!(bad(Path::new("/nowhere.tar"), ImportOptions::default()).kind(), ErrorKind::PathNotFound);
    assert_eq!(bad(Path::new("/"), ImportOptions::default()).kind(), ErrorKind::InvalidArgument);
    let rubbish = f.scratch.0.join("rubbish");
    std::fs::write(&rubbish, "no tar at all").unwrap();
    assert_eq!(bad(&rubbish, ImportOptions::default()).kind(), ErrorKind::InvalidArgument);
    std::fs::write(&rubbish, "").unwrap();
    assert_eq!(bad(&rubbish, ImportOptions::default()).kind(), ErrorKind::InvalidArgument);
    f.finish();
}

#[test]
fn the_host_image_shows_the_system_and_no_secrets() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let shown = |script: &str| output(&f, "host", script);
    assert_eq!(shown("ls -A /home /root /var /run /srv | grep -v : | tr -d '\\n'"), "");
    assert_eq!(shown("stat -c %a /tmp /root"), "1777\n700\n");
    assert_eq!(
        shown("ls /etc/shadow /etc/gshadow /etc/ssh /etc/sudoers /etc/machine-id 2>/dev/null; true"),
        ""
    );
    assert_eq!(shown("id -un"), "root\n");
    assert_eq!(shown("touch /usr/new /etc/new /new && echo written"), "written\n");
    assert!(!Path::new("/usr/new").exists() && !Path::new("/new").exists());
    assert_eq!(shown("ls /usr/new /etc/new /new 2>/dev/null; true"), "");
    let more = f.scratch.0.join("more");
    std::fs::create_dir(&more).unwrap();
    std::fs::write(more.join("file"), "shown").unwrap();
    let image = Image::host([&more]);
    let script = format!("cat {0}/file; echo x > {0}/file && cat {0}/file", more.display());
    assert_eq!(output(&f, image.id(), &script), "shownx\n");
    assert_eq!(std::fs::read_to_string(more.join("file")).unwrap(), "shown");
    for bad in ["relative", "/", "/proc/1", "/a/../b", f.root().to_str().unwrap()] {
        let e = block_on(f.rt.containers().run(Image::host([bad]), ["true"])).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{bad}: {e}");
    }
    let e = block_on(f.rt.containers().run(Image::host(["/not/there"]), ["true"])).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::PathNotFound, "{e}");
    let host = f.rt.images().get("host").unwrap();
    assert_eq!((host.id(), host.config().cmd.as_slice()), ("host", &["sh".to_owned()][..]));
    f.finish();
}

#[test]
fn implied_folders_keep_what_the_layers_below_give_them() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let Some(made) = Made::new(&f.scratch.0) else { return };
    let (implied, hiding) = made.implied();
    let image = load(&f, &implied).unwrap().remove(0);
    let id = image.id();
    assert_eq!(
        output(&f, id, "stat -c '%a %u:%g %n' / /shared /shared/deep /gone /new /left"),
        "555 0:0 /\n1777 5:6 /shared\n700 0:0 /shared/deep\n755 0:0 /gone\n755 0:0 /new\n750 0:0 /left\n"
    );
    assert_eq!(output(&f, id, "ls -A /shared /gone"), "/gone:\nx\n\n/shared:\ndeep\nlow\ntop\n");
    let layers = &image.inspect().unwrap()["RootFS"]["Layers"];
    assert_eq!(layers.as_array().unwrap().len(), 2);
    assert_eq!(entries(&f.root().join("layers")).len(), 3);
    let image = load(&f, &hiding).unwrap().remove(0);
    assert_eq!(output(&f, image.id(), "ls -A / | grep -v -e dev -e proc -e sys -e etc"), "bin\nonly\n");
    f.rt.images().remove("implied:1", false).unwrap();
    f.rt.images().remove("hiding:1", false).unwrap();
    assert!(entries(&f.root().join("layers")).is_empty());
    f.finish();
}

#[test]
fn a_killed_loader_leaves_nothing_visible() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let Some(made) = Made::new(&f.scratch.0) else { return };
    let (root, archive) = (f.root(), made.docker_archive());
    for delay in [5, 20, 40, 80] {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "load_for_another_test", "--ignored", "--nocapture"])
            .env("CONTAINERS_TEST_LOAD", &archive)
            .env("CONTAINERS_TEST_ROOT", &root)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        let rt = open(&root);
        for row in rt.images().list().unwrap() {
            // It was faster: then it is whole.
            assert_eq!(block_on(rt.containers().run(&row.id, ["true"])).unwrap().exit_code, 0);
            rt.images().remove(&row.id, true).unwrap();
        }
        common::eventually("reclaimed", || {
            let again = open(&root);
            block_on(again.close()).unwrap();
            entries(&root.join("tmp")).is_empty()
        });
        block_on(rt.close()).unwrap();
    }
    check_sample(&f, &load(&f, &archive).unwrap()[0]);
    block_on(f.rt.close()).unwrap();
}

#[test]
#[ignore = "is started by a_killed_loader_leaves_nothing_visible"]
fn load_for_another_test() {
    let (Ok(archive), Ok(root)) =
        (std::env::var("CONTAINERS_TEST_LOAD"), std::env::var("CONTAINERS_TEST_ROOT"))
    else {
        return;
    };
    let rt = open(Path::new(&root));
    block_on(rt.images().load(archive, LoadOptions::default())).unwrap();
}

#[test]
fn many_loaders_at_once() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let Some(made) = Made::new(&f.scratch.0) else { return };
    let root = f.root();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let rt = open(&root);
                block_on(rt.images().load(made.layout(), LoadOptions::default())).unwrap();
                block_on(rt.close()).unwrap();
            });
        }
    });
    assert_eq!(entries(&root.join("layers")).len(), 2);
    assert_eq!(f.rt.images().list().unwrap().len(), 1);
    f.finish();
}

#[test]
fn what_a_killed_loader_left_is_reclaimed() {
    if !is_root() {
        return;
    }
    let f = Fixture::new();
    let root = f.root();
    // A folder that nobody holds, as after a kill -9.
    let left = root.join("tmp/0123456789abcdef01234567");
    shell(&format!("mkdir -p {0}/layer/fs/a; echo x > {0}/layer/fs/a/b", left.display()));
    let rt = open(&root);
    common::eventually("reclaimed", || !left.exists());
    block_on(rt.close()).unwrap();
    f.finish();
}
