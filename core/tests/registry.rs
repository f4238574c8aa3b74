//! Pulling from a real registry through the public interface, and running what came.

use containers::executor::block_on;
use containers::{ErrorKind, PullEvent, PullOptions, PullPolicy, RunOptions, Runtime};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A registry with small images that stops when it is dropped; see `tests/registry/start.py`.
struct Registry {
    child: Child,
    values: BTreeMap<String, String>,
}

impl Registry {
    fn start() -> Option<Registry> {
        Registry::start_with(&[])
    }

    fn start_with(arguments: &[&str]) -> Option<Registry> {
        for program in ["python3", "docker-registry", "skopeo", "umoci", "openssl", "perl"] {
            let there =
                std::env::split_paths(&std::env::var_os("PATH")?).any(|dir| dir.join(program).is_file());
            if !there {
                eprintln!("passed over: {program} is not installed");
                return None;
            }
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/registry/start.py");
        let mut command = Command::new("python3");
        command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
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
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("registry-{name}-{}-{number}", std::process::id()));
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
            let image = rt.images().pull_with(registry.image(name), PullOptions::default()).await.unwrap();
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
    if !rustix::process::geteuid().is_root() {
        eprintln!("passed over: the image's user needs more than one id");
        return;
    }
    let Some(registry) = Registry::start() else { return };
    let root = Root::new("configured");
    block_on(async {
        let rt = open(&root.0).await;
        let image =
            rt.images().pull_with(registry.image("configured"), PullOptions::default()).await.unwrap();
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
            let error = rt.images().pull_with(&reference, PullOptions::default()).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.operation(), "image.pull");
            assert!(error.to_string().contains(&reference), "{error}");
        }
        assert!(rt.images().list().unwrap().is_empty());
        rt.close().await.unwrap();
    });
}

/// What other tests start as processes of their own; says on a line of its own how it went.
#[test]
fn child_that_pulls() {
    let (Ok(root), Ok(image)) = (std::env::var("PULL_ROOT"), std::env::var("PULL_IMAGE")) else { return };
    let before = (entries("/proc/self/task"), entries("/proc/self/fd"));
    block_on(async {
        let rt = open(Path::new(&root)).await;
        let (options, events) = watched();
        match rt.images().pull_with(&image, options).await {
            Ok(image) => {
                let done =
                    events.lock().unwrap().iter().filter(|e| matches!(e, PullEvent::Done { .. })).count();
                println!("\npulled {} {done}", image.id());
            }
            Err(e) => println!("\nfailed {} {e}", e.code()),
        }
        rt.close().await.unwrap();
    });
    // A thread may need a moment to end.
    let until = Instant::now() + Duration::from_secs(10);
    while (entries("/proc/self/task"), entries("/proc/self/fd")) != before {
        assert!(Instant::now() < until, "left: {before:?}, {}", listing("/proc/self/fd"));
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn entries(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

fn listing(folder: &str) -> String {
    let paths = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let targets = paths.map(|p| format!("{:?}", std::fs::read_link(p).unwrap_or_default()));
    targets.collect::<Vec<_>>().join(" ")
}

/// A process that pulls, with a further environment.
fn child(root: &Root, image: &str, environment: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child_that_pulls", "--nocapture"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    // Nothing of the user who runs the tests.
    command.env("HOME", "/nonexistent").env_remove("XDG_CONFIG_HOME").env_remove("XDG_RUNTIME_DIR");
    command.env_remove("DOCKER_CONFIG").env_remove("DOCKER_AUTH_CONFIG");
    command.env("PULL_ROOT", &root.0).env("PULL_IMAGE", image).envs(environment.iter().copied());
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// `pulled ID LAYERS` or `failed CODE MESSAGE`.
fn outcome(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let line = text.lines().find(|l| l.starts_with("pulled ") || l.starts_with("failed "));
    line.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn several_processes_download_once() {
    let Some(registry) = Registry::start() else { return };
    let root = Root::new("several");
    let children: Vec<Child> = (0..4).map(|_| child(&root, registry.image("oci"), &[])).collect();
    let mut ids = Vec::new();
    let mut layers = 0;
    for child in children {
        let outcome = outcome(child);
        let mut words =
            outcome.strip_prefix("pulled ").unwrap_or_else(|| panic!("{outcome}")).split_whitespace();
        ids.push(words.next().unwrap().to_owned());
        layers += words.next().unwrap().parse::<usize>().unwrap();
    }
    ids.dedup();
    assert_eq!((ids.len(), layers), (1, 2));
    block_on(async {
        let rt = open(&root.0).await;
        let mut never = PullOptions::default();
        never.policy = PullPolicy::Never;
        assert_eq!(rt.images().pull_with(registry.image("oci"), never).await.unwrap().id(), ids[0]);
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
        let work = images.pull_with(&name, PullOptions::default());
        let begun = Instant::now();
        let deadline = Some(begun + Duration::from_millis(200));
        assert!(containers::executor::timeout_at(deadline, work).await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert!(rt.images().list().unwrap().is_empty());
        rt.close().await.unwrap();
    });
    assert_eq!(std::fs::read_dir(root.0.join("tmp")).unwrap().count(), 0);
}

/// Pulls in a process of its own, with this environment, into a fresh root.
fn pulled(name: &str, image: &str, environment: &[(&str, &str)]) -> String {
    let root = Root::new(name);
    outcome(child(&root, image, environment))
}

#[test]
fn credentials_come_from_the_environment() {
    let Some(registry) = Registry::start_with(&["--auth", "bob:s3cret", "--images", "oci"]) else { return };
    let (image, host) = (registry.image("oci"), registry.values["registry"].as_str());
    let files = Root::new("files");
    let write = |path: &str, content: &str| {
        let path = files.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.parent().unwrap().to_str().unwrap().to_owned()
    };
    // base64 of bob:s3cret and of bob:wrong
    let entry = |auth: &str| format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#);
    let (good, bad) = (entry("Ym9iOnMzY3JldA=="), entry("Ym9iOndyb25n"));
    let docker = write("docker/config.json", &good);
    let wrong = write("wrong/config.json", &bad);
    let home = write("home/.docker/config.json", &good).replace("/.docker", "");
    let config = write("config/containers/auth.json", &good).replace("/containers", "");
    let namespaced = format!(r#"{{"auths":{{"{host}/busybox":{{"auth":"Ym9iOnMzY3JldA=="}}}}}}"#);
    let run = write("run/containers/auth.json", &namespaced).replace("/containers", "");
    for environment in [
        &[("DOCKER_AUTH_CONFIG", &*good)][..],
        &[("DOCKER_CONFIG", &docker)],
        &[("HOME", &home)],
        &[("XDG_CONFIG_HOME", &config)],
        &[("XDG_RUNTIME_DIR", &run)],
        // The first one that has an entry decides.
        &[("DOCKER_AUTH_CONFIG", &good), ("DOCKER_CONFIG", &wrong)],
    ] {
        let outcome = pulled("environment", image, environment);
        assert!(outcome.starts_with("pulled "), "{environment:?}: {outcome}");
    }
    let outcome = pulled("environment", image, &[("DOCKER_CONFIG", &wrong)]);
    assert!(outcome.starts_with("failed auth ") && outcome.contains(&wrong), "{outcome}");
    assert!(!outcome.contains("Ym9i"), "{outcome}");
    let outcome = pulled("environment", image, &[]);
    assert!(
        outcome.starts_with("failed auth ") && outcome.contains("/nonexistent/.docker/config.json"),
        "{outcome}"
    );

    let helper = files.0.join("bin/docker-credential-stored");
    write("bin/docker-credential-stored", "#!/bin/sh\necho '{\"Username\":\"bob\",\"Secret\":\"s3cret\"}'\n");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let stored = write("stored/config.json", r#"{"credsStore":"stored"}"#);
    let path = format!("{}:{}", files.0.join("bin").display(), std::env::var("PATH").unwrap());
    let outcome = pulled("environment", image, &[("DOCKER_CONFIG", &stored), ("PATH", &path)]);
    assert!(outcome.starts_with("pulled "), "{outcome}");
    let only = format!(r#"{{"credHelpers":{{"{host}":"stored"}}}}"#);
    let only = write("only/config.json", &only);
    let outcome = pulled("environment", image, &[("DOCKER_CONFIG", &only), ("PATH", &path)]);
    assert!(outcome.starts_with("pulled "), "{outcome}");
    write("conf/registries.conf", "credential-helpers = ['missing', 'stored', 'containers-auth.json']\n");
    let conf = files.0.join("conf/registries.conf");
    let conf = ("CONTAINERS_REGISTRIES_CONF", conf.to_str().unwrap());
    let outcome = pulled("environment", image, &[conf, ("PATH", &path)]);
    assert!(outcome.starts_with("pulled "), "{outcome}");
    let outcome = pulled("environment", image, &[conf]);
    assert!(
        outcome.starts_with("failed auth ") && outcome.contains("docker-credential-missing"),
        "{outcome}"
    );
}

#[test]
fn mirrors_and_proxies_come_from_the_environment() {
    let Some(registry) = Registry::start_with(&["--images", "oci"]) else { return };
    let host = registry.values["registry"].as_str();
    let files = Root::new("conf");
    let conf = files.0.join("registries.conf");
    let conf_path = conf.to_str().unwrap();
    let mirror = format!("[[registry.mirror]]\nlocation = '{host}'\n");
    std::fs::write(
        &conf,
        format!("[[registry]]\nprefix = 'docker.io/library'\nlocation = 'nowhere.invalid'\n{mirror}"),
    )
    .unwrap();
    let with_conf = [("CONTAINERS_REGISTRIES_CONF", conf_path)];
    let outcome = pulled("mirror", "busybox", &with_conf);
    assert!(outcome.starts_with("pulled "), "{outcome}");
    let outcome = pulled("mirror", "busybox:none", &with_conf);
    assert!(outcome.starts_with("failed registry ") && outcome.contains("nowhere.invalid"), "{outcome}");
    assert!(outcome.contains("mirrors=") && outcome.contains(host), "{outcome}");
    std::fs::write(&conf, "[[registry]]\nprefix = 'docker.io'\nblocked = true\n").unwrap();
    let outcome = pulled("mirror", "busybox", &with_conf);
    assert!(outcome.starts_with("failed registry ") && outcome.contains("blocks"), "{outcome}");
    std::fs::write(&conf, "[[registry").unwrap();
    let outcome = pulled("mirror", "busybox", &with_conf);
    assert!(outcome.starts_with("failed invalid_argument ") && outcome.contains(conf_path), "{outcome}");

    // Nobody listens on port 1: what goes through the proxy fails, what is on this machine does not.
    let proxy = [("HTTPS_PROXY", "http://127.0.0.1:1"), ("HTTP_PROXY", "http://127.0.0.1:1")];
    let outcome = pulled("proxy", registry.image("oci"), &proxy);
    assert!(outcome.starts_with("pulled "), "{outcome}");
    let outcome = pulled("proxy", "registry.invalid/app", &proxy);
    assert!(outcome.starts_with("failed registry ") && outcome.contains("refused"), "{outcome}");
}

/// Passes bytes on to a server, and of each answer only the first ones.
fn throttle(upstream: String, most: usize) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = std::net::TcpStream::connect(&*upstream).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            std::thread::spawn(move || {
                let (mut server, mut client) = (server, client);
                let _ = std::io::copy(&mut (&mut server).take(most as u64), &mut client);
                // The rest never comes.
                std::thread::park();
            });
        }
    });
    address
}

#[test]
fn a_killed_pull_leaves_nothing_after_the_next_open() {
    let Some(registry) = Registry::start_with(&["--images", "oci"]) else { return };
    let upstream = registry.values["registry"].replace("localhost", "127.0.0.1");
    let slow = throttle(upstream, 200_000);
    let image = registry.image("oci").replace(&registry.values["registry"], &slow);
    let root = Root::new("killed");
    let mut child = child(&root, &image, &[]);
    let begun = |root: &Root| {
        let folders = std::fs::read_dir(root.0.join("tmp")).into_iter().flatten().flatten();
        folders.map(|e| e.path().join("blob")).any(|b| b.metadata().is_ok_and(|m| m.len() > 100_000))
    };
    let until = Instant::now() + Duration::from_secs(60);
    while !begun(&root) {
        assert!(Instant::now() < until, "nothing arrives");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The launcher, which may still work in the folders, ends by itself.
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        block_on(async {
            let rt = open(&root.0).await;
            assert!(rt.images().list().unwrap().is_empty());
            rt.close().await.unwrap();
        });
        let left: Vec<_> =
            std::fs::read_dir(root.0.join("tmp")).unwrap().flatten().map(|e| e.path()).collect();
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < until, "left: {left:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    block_on(async {
        let rt = open(&root.0).await;
        rt.images().pull_with(registry.image("oci"), PullOptions::default()).await.unwrap();
        rt.close().await.unwrap();
    });
}
