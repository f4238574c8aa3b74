//! Pulling from a real registry through the public interface, and running what came.

use containers::executor::block_on;
use containers::{ErrorKind, PullEvent, PullOptions, PullPolicy, RunOptions, Runtime};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A registry with small images that stops when it is dropped; see `tests/registry/start.py`.
struct Registry {
    child: Child,
    values: BTreeMap<String, String>,
}

impl Registry {
    fn start() -> Option<Registry> {
        for program in ["python3", "docker-registry", "skopeo", "umoci"] {
            let there =
                std::env::split_paths(&std::env::var_os("PATH")?).any(|dir| dir.join(program).is_file());
            if !there {
                eprintln!("passed over: {program} is not installed");
                return None;
            }
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/registry/start.py");
        let mut command = Command::new("python3");
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let pairs = lines.take_while(|line| line != "ready");
        let values =
            pairs.filter_map(|l| l.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()))).collect();
        Some(Registry { child, values })
    }

    fn image(&self, name: &str) -> &str {
        &self.values[name]
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Root {
        let path = std::env::temp_dir().join(format!("registry-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Root(path)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn open(root: &Path) -> Runtime {
    Runtime::builder().root(root).open().await.unwrap()
}

fn watched() -> (PullOptions, Arc<Mutex<Vec<PullEvent>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = events.clone();
    let mut options = PullOptions::default();
    options.progress = Some(Arc::new(move |e| seen.lock().unwrap().push(e)));
    (options, events)
}

#[test]
fn every_form_is_pulled_and_runs() {
    let Some(registry) = Registry::start() else { return };
    for name in ["oci", "schema2", "zstd", "index"] {
        let root = Root::new(name);
        block_on(async {
            let rt = open(&root.0).await;
            let image = rt.images().pull(registry.image(name), PullOptions::default()).await.unwrap();
            assert_eq!(image.tags(), [registry.image(name)]);
            let out = rt.containers().run(&image, ["cat", "/etc/motd"]).await.unwrap();
            assert_eq!((out.exit_code, &*out.stdout), (0, &b"hello from busybox\n"[..]), "{name}");
            // By its name it is here now.
            let out = rt.containers().run(registry.image(name), ["true"]).await.unwrap();
            assert_eq!(out.exit_code, 0);
            rt.close().await.unwrap();
        });
    }
}

#[test]
fn a_pulled_configuration_counts() {
    let Some(registry) = Registry::start() else { return };
    let root = Root::new("configured");
    block_on(async {
        let rt = open(&root.0).await;
        let image = rt.images().pull(registry.image("configured"), PullOptions::default()).await.unwrap();
        assert_eq!(image.config().entrypoint, ["echo", "entry"]);
        let mut options = RunOptions::default();
        options.create.entrypoint = Some(vec!["sh".into()]);
        options.create.command = ["-c", "id -u; pwd; echo $COLOUR"].map(String::from).to_vec();
        let out = rt.containers().run_with(&image, options).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout), "1000\n/home/app\nblue\n");
        rt.close().await.unwrap();
    });
}

#[test]
fn errors_name_the_reference() {
    let Some(registry) = Registry::start() else { return };
    let root = Root::new("errors");
    block_on(async {
        let rt = open(&root.0).await;
        let port = registry.values["registry"].clone();
        for (reference, kind) in [
            (format!("{port}/busybox:none"), ErrorKind::ImageNotFound),
            (format!("{port}/none"), ErrorKind::ImageNotFound),
            ("localhost:1/none".into(), ErrorKind::Registry),
            ("localhost:1/UPPER".into(), ErrorKind::InvalidArgument),
        ] {
            let error = rt.images().pull(&reference, PullOptions::default()).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.operation(), "image.pull");
            assert!(error.to_string().contains(&reference), "{error}");
        }
        assert!(rt.images().list().unwrap().is_empty());
        rt.close().await.unwrap();
    });
}

/// What [`several_processes_download_once`] starts several times.
#[test]
fn child_that_pulls() {
    let (Ok(root), Ok(image)) = (std::env::var("PULL_ROOT"), std::env::var("PULL_IMAGE")) else { return };
    block_on(async {
        let rt = open(Path::new(&root)).await;
        let (options, events) = watched();
        let image = rt.images().pull(&image, options).await.unwrap();
        let done = events.lock().unwrap().iter().filter(|e| matches!(e, PullEvent::Done { .. })).count();
        println!("pulled {} {done}", image.id());
        rt.close().await.unwrap();
    });
}

#[test]
fn several_processes_download_once() {
    let Some(registry) = Registry::start() else { return };
    let root = Root::new("several");
    let program = std::env::current_exe().unwrap();
    let start = || {
        let mut command = Command::new(&program);
        command.args(["--exact", "child_that_pulls", "--nocapture"]);
        command.env("PULL_ROOT", &root.0).env("PULL_IMAGE", registry.image("oci"));
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<Child> = (0..4).map(|_| start()).collect();
    let mut ids = Vec::new();
    let mut layers = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        let line = text.split("pulled ").nth(1).unwrap_or_else(|| panic!("{text}"));
        let mut words = line.split_whitespace();
        ids.push(words.next().unwrap().to_owned());
        layers += words.next().unwrap().parse::<usize>().unwrap();
    }
    ids.dedup();
    assert_eq!((ids.len(), layers), (1, 2));
    block_on(async {
        let rt = open(&root.0).await;
        let mut never = PullOptions::default();
        never.policy = PullPolicy::Never;
        assert_eq!(rt.images().pull(registry.image("oci"), never).await.unwrap().id(), ids[0]);
        assert_eq!(rt.images().list().unwrap().len(), 1);
        rt.close().await.unwrap();
    });
}

#[test]
fn a_cancelled_pull_leaves_nothing() {
    // Takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("{}/app", silent.local_addr().unwrap());
    let root = Root::new("cancelled");
    block_on(async {
        let rt = open(&root.0).await;
        let images = rt.images();
        let work = images.pull(&name, PullOptions::default());
        let begun = Instant::now();
        let deadline = Some(begun + Duration::from_millis(200));
        assert!(containers::executor::timeout_at(deadline, work).await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert!(rt.images().list().unwrap().is_empty());
        rt.close().await.unwrap();
    });
    assert_eq!(std::fs::read_dir(root.0.join("tmp")).unwrap().count(), 0);
}
