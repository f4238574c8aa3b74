use super::harness::{Content, Root, archive};
use super::*;
use crate::executor::{block_on, timeout_at};
use crate::image::registry::fake::{After, Fake, Reply};
use crate::image::{Auth, Digest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// `busybox` of this machine with two layers, under `app:1`.
fn one_image() -> Content {
    let mut content = Content::default();
    let image = content.image(&[archive(1, 300_000), archive(2, 5_000)], &manifest::machine().architecture);
    content.tag("1", &image);
    content
}

fn surroundings(options: &PullOptions) -> Surroundings {
    Surroundings {
        registries: Registries::default(),
        credentials: Sources { explicit: options.auth.clone(), ..Sources::default() },
        settings: Settings {
            stall: Duration::from_millis(500),
            attempts: 2,
            backoff: Duration::from_millis(5),
            certificates: Vec::new(),
            ..Settings::default()
        },
    }
}

fn pull_image(store: &Arc<Store>, reference: &str, options: PullOptions) -> Result<Arc<ImageRecord>> {
    block_on(pull_with(store, reference, options, |o| Ok(surroundings(o))))
}

/// Options that keep the events.
fn watched() -> (PullOptions, Arc<Mutex<Vec<PullEvent>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = events.clone();
    let progress: crate::image::options::Progress = Arc::new(move |e| seen.lock().unwrap().push(e));
    (PullOptions { progress: Some(progress), ..PullOptions::default() }, events)
}

fn kinds(events: &Mutex<Vec<PullEvent>>) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for event in events.lock().unwrap().iter() {
        let name = match event {
            PullEvent::Resolved { .. } => "resolved",
            PullEvent::Exists { .. } => "exists",
            PullEvent::Downloading { .. } => "downloading",
            PullEvent::Extracting { .. } => "extracting",
            PullEvent::Done { .. } => "done",
            PullEvent::Complete { fetched: true, .. } => "fetched",
            PullEvent::Complete { fetched: false, .. } => "complete",
        };
        *counts.entry(name).or_insert(0) += 1;
    }
    counts
}

#[test]
fn an_image_is_pulled_once() {
    let content = one_image();
    let served = content.clone();
    let fake = Fake::start(move |r| served.serve(r));
    let (root, name) = (Root::new(), format!("{}/app:1", fake.host()));
    let store = root.store();
    let (options, events) = watched();
    let record = pull_image(&store, &name, options).unwrap();
    assert_eq!(record.tags, [name.as_str()]);
    let digest = Digest::of(&content.manifests["1"].1);
    assert_eq!(record.digests, [format!("{}/app@{digest}", fake.host())]);
    assert_eq!(record.manifest, digest);
    assert_eq!(record.config.cmd, ["sh"]);
    root.check_tidy();
    assert_eq!((root.names("layers").len(), root.names("blobs/sha256").len()), (2, 4));
    let counts = kinds(&events);
    assert_eq!((counts["resolved"], counts["extracting"], counts["done"], counts["fetched"]), (1, 2, 2, 1));
    let first = events.lock().unwrap()[0].clone();
    let total = content.blobs.values().map(Vec::len).max().unwrap() as u64;
    assert!(matches!(first, PullEvent::Resolved { layers: 2, total: t, .. } if t > total), "{first:?}");

    // Again: it is here.
    let before = fake.requests().len();
    let (options, events) = watched();
    assert_eq!(pull_image(&store, &name, options).unwrap().id, record.id);
    assert_eq!(fake.requests().len(), before);
    assert_eq!(kinds(&events), BTreeMap::from([("complete", 1)]));
    // By digest it is here too.
    let by_digest = PullOptions { policy: PullPolicy::Never, ..PullOptions::default() };
    assert_eq!(pull_image(&store, &record.digests[0], by_digest).unwrap().id, record.id);
    // Always: the registry is asked, and nothing but the manifest comes.
    let (mut options, events) = watched();
    options.policy = PullPolicy::Always;
    pull_image(&store, &name, options).unwrap();
    assert_eq!(fake.requests().len(), before + 1);
    let counts = kinds(&events);
    assert_eq!((counts["exists"], counts["complete"]), (2, 1));
}

#[test]
fn by_digest_there_is_no_tag() {
    let content = one_image();
    let digest = Digest::of(&content.manifests["1"].1);
    let fake = Fake::start(move |r| content.serve(r));
    let root = Root::new();
    let record =
        pull_image(&root.store(), &format!("{}/app:x@{digest}", fake.host()), PullOptions::default())
            .unwrap();
    assert!(record.tags.is_empty());
    assert_eq!(record.digests, [format!("{}/app@{digest}", fake.host())]);
    assert!(fake.requests()[0].path.ends_with(digest.as_str()));
}

#[test]
fn what_is_not_there() {
    let fake = Fake::start(|r| Content::default().serve(r));
    let (root, name) = (Root::new(), format!("{}/app:1", fake.host()));
    let store = root.store();
    let never = PullOptions { policy: PullPolicy::Never, ..PullOptions::default() };
    let error = pull_image(&store, &name, never).unwrap_err();
    assert_eq!((error.kind(), fake.requests().len()), (ErrorKind::ImageNotFound, 0));
    let error = pull_image(&store, &name, PullOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageNotFound);
    assert!(error.context().contains(&("ref", name)));
    let error = pull_image(&store, "Not/Valid", PullOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let auth = Some(Auth { username: String::new(), password: "x".into(), identity_token: None });
    let error = pull_image(&store, "app", PullOptions { auth, ..PullOptions::default() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    root.check_empty();
}

#[test]
fn a_name_is_never_taken_for_an_id() {
    let content = one_image();
    let fake = Fake::start(move |r| content.serve(r));
    let root = Root::new();
    let store = root.store();
    let record = pull_image(&store, &format!("{}/app:1", fake.host()), PullOptions::default()).unwrap();
    let never = PullOptions { policy: PullPolicy::Never, ..PullOptions::default() };
    let error = pull_image(&store, &record.id.hex()[..6], never).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageNotFound);
}

#[test]
fn an_index_leads_to_this_machine_or_the_wished_platform() {
    let mut content = Content::default();
    let here = manifest::machine().architecture;
    let other = if here == "s390x" { "amd64" } else { "s390x" };
    let (a, b) = (content.image(&[archive(3, 1000)], other), content.image(&[archive(4, 1000)], &here));
    let index = content.index(&[a.clone(), b.clone()]);
    content.tag("1", &index);
    let outer = content.index(std::slice::from_ref(&index));
    content.tag("nested", &outer);
    let mut deep = index.clone();
    for _ in 0..8 {
        deep = content.index(&[deep]);
    }
    content.tag("deep", &deep);
    let fake = Fake::start(move |r| content.serve(r));
    let (root, name) = (Root::new(), format!("{}/app:1", fake.host()));
    let store = root.store();
    let with =
        |platform: &str| PullOptions { platform: Some(platform.parse().unwrap()), ..PullOptions::default() };
    let first = pull_image(&store, &name, PullOptions::default()).unwrap();
    assert_eq!(first.manifest.to_string(), b["digest"]);
    assert_eq!(first.digests, [format!("{}/app@{}", fake.host(), index["digest"].as_str().unwrap())]);
    // What is here is for another platform than wished.
    let second = pull_image(&store, &name, with(&format!("linux/{other}"))).unwrap();
    assert_eq!(second.manifest.to_string(), a["digest"]);
    let error = pull_image(&store, &name, with("linux/riscv64")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageNotFound);
    assert!(error.context().iter().any(|(k, v)| *k == "available" && v.contains(other)), "{error}");
    let by_manifest = format!("{}/app@{}", fake.host(), a["digest"].as_str().unwrap());
    let error = pull_image(&store, &by_manifest, with("linux/riscv64")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageNotFound);
    let nested = pull_image(&store, &format!("{}/app:nested", fake.host()), PullOptions::default()).unwrap();
    assert_eq!(nested.manifest.to_string(), b["digest"]);
    let error = pull_image(&store, &format!("{}/app:deep", fake.host()), PullOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Registry);
    root.check_tidy();
}

#[test]
fn a_tag_that_moves_meanwhile_mixes_nothing() {
    let mut content = Content::default();
    let here = manifest::machine().architecture;
    let old = content.image(&[archive(5, 1000)], &here);
    let new = content.image(&[archive(6, 1000)], &here);
    let (old_index, new_index) = (content.index(std::slice::from_ref(&old)), content.index(&[new]));
    content.tag("old", &old_index);
    content.tag("new", &new_index);
    let fake = Fake::start(move |r| {
        let mut request = r.clone();
        // The tag is another one from the second request on.
        request.path = request
            .path
            .replace("/manifests/1", if r.number == 0 { "/manifests/old" } else { "/manifests/new" });
        content.serve(&request)
    });
    let root = Root::new();
    let record =
        pull_image(&root.store(), &format!("{}/app:1", fake.host()), PullOptions::default()).unwrap();
    assert_eq!(record.manifest.to_string(), old["digest"]);
    assert_eq!(fake.count("/v2/app/manifests/1"), 1);
}

#[test]
fn wrong_content_leaves_nothing() {
    let content = one_image();
    let (big, _) = content.blobs.iter().max_by_key(|(_, b)| b.len()).unwrap();
    let big = big.clone();
    // Not even a stream of the announced kind; and one of the right length with one wrong byte.
    for damage in 0..2 {
        let (served, target) = (content.clone(), big.clone());
        let fake = Fake::start(move |r| {
            let mut reply = served.serve(r);
            if r.path.ends_with(&target) {
                let at = if damage == 0 { 0 } else { reply.body.len() / 2 };
                reply.body[at] ^= 0x55;
            }
            reply
        });
        let root = Root::new();
        let error =
            pull_image(&root.store(), &format!("{}/app:1", fake.host()), PullOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Registry, "{error}");
        assert_eq!(fake.count(&format!("/v2/app/blobs/{big}")), 2);
        root.check_tidy();
        assert!(!root.names("blobs/sha256").contains(&big[7..].to_owned()));
        let never = PullOptions { policy: PullPolicy::Never, ..PullOptions::default() };
        let again = pull_image(&root.store(), &format!("{}/app:1", fake.host()), never);
        assert_eq!(again.unwrap_err().kind(), ErrorKind::ImageNotFound);
    }
    // Right the second time.
    let (served, target) = (content, big.clone());
    let wrong = std::sync::atomic::AtomicBool::new(true);
    let fake = Fake::start(move |r| {
        let mut reply = served.serve(r);
        if r.path.ends_with(&target) && wrong.swap(false, std::sync::atomic::Ordering::SeqCst) {
            reply.body[20] ^= 1;
        }
        reply
    });
    let root = Root::new();
    pull_image(&root.store(), &format!("{}/app:1", fake.host()), PullOptions::default()).unwrap();
    root.check_tidy();
}

#[test]
fn a_broken_transfer_goes_on() {
    let content = one_image();
    let fake = Fake::start(move |r| {
        let reply = content.serve(r);
        if !r.path.contains("/blobs/") {
            return reply;
        }
        match r.header("range").strip_prefix("bytes=").and_then(|r| r.split_once('-')) {
            Some((from, _)) => {
                let (from, total) = (from.parse::<usize>().unwrap(), reply.body.len());
                let range = format!("bytes {from}-{}/{total}", total - 1);
                Reply::new(206, &reply.body[from..]).header("Content-Range", range)
            }
            None => {
                let half = reply.body.len() / 2;
                reply.cut(half, After::Close)
            }
        }
    });
    let root = Root::new();
    pull_image(&root.store(), &format!("{}/app:1", fake.host()), PullOptions::default()).unwrap();
    root.check_tidy();
}

#[test]
fn documents_that_do_not_fit_together() {
    let here = manifest::machine().architecture;
    type Change = Box<dyn Fn(&mut Value, &mut Content)>;
    let cases: Vec<(&str, ErrorKind, Change)> = vec![
        (
            "a layer too many",
            ErrorKind::Registry,
            Box::new(|m, _| {
                let layer = m["layers"][0].clone();
                m["layers"].as_array_mut().unwrap().push(layer);
            }),
        ),
        (
            "layers swapped",
            ErrorKind::Registry,
            Box::new(|m, _| m["layers"].as_array_mut().unwrap().reverse()),
        ),
        (
            "a missing layer",
            ErrorKind::Registry,
            Box::new(|m, c| {
                c.blobs.remove(m["layers"][0]["digest"].as_str().unwrap());
            }),
        ),
        (
            "a missing configuration",
            ErrorKind::Registry,
            Box::new(|m, c| {
                c.blobs.remove(m["config"]["digest"].as_str().unwrap());
            }),
        ),
        ("a wrong layer size", ErrorKind::Registry, Box::new(|m, _| m["layers"][0]["size"] = json!(7))),
        ("a wrong configuration size", ErrorKind::Registry, Box::new(|m, _| m["config"]["size"] = json!(7))),
        (
            "a wrong compression",
            ErrorKind::Registry,
            Box::new(|m, _| {
                m["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+zstd");
            }),
        ),
        (
            "a foreign url",
            ErrorKind::Registry,
            Box::new(|m, c| {
                let layer = &mut m["layers"][0];
                c.blobs.remove(layer["digest"].as_str().unwrap());
                layer["mediaType"] = json!("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
                layer["urls"] = json!(["http://127.0.0.1:1/x"]);
            }),
        ),
        (
            "an artifact",
            ErrorKind::Unsupported,
            Box::new(|m, _| m["config"]["mediaType"] = json!("text/x-thing")),
        ),
        ("schema 1", ErrorKind::Unsupported, Box::new(|m, _| m["schemaVersion"] = json!(1))),
        (
            "an unknown layer",
            ErrorKind::Unsupported,
            Box::new(|m, _| m["layers"][0]["mediaType"] = json!("text/x")),
        ),
        (
            "a bad digest",
            ErrorKind::Registry,
            Box::new(|m, _| m["layers"][0]["digest"] = json!("sha256:../../x")),
        ),
        ("two in one", ErrorKind::Registry, Box::new(|m, _| m["manifests"] = json!([]))),
    ];
    for (what, kind, change) in cases {
        let mut content = Content::default();
        let image = content.image(&[archive(7, 2000), archive(8, 3000)], &here);
        let (media_type, bytes) = content.manifests[image["digest"].as_str().unwrap()].clone();
        let mut document: Value = serde_json::from_slice(&bytes).unwrap();
        change(&mut document, &mut content);
        content.manifests.insert("1".into(), (media_type, document.to_string().into_bytes()));
        let fake = Fake::start(move |r| content.serve(r));
        let root = Root::new();
        let error =
            pull_image(&root.store(), &format!("{}/app:1", fake.host()), PullOptions::default()).unwrap_err();
        assert_eq!(error.kind(), kind, "{what}: {error}");
        root.check_tidy();
    }
}

#[test]
fn mirrors_are_asked_first_and_never_get_the_callers_secret() {
    let content = one_image();
    let empty = Fake::start(|_| Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"mirror\""));
    let (manifests_only, full) = (content.clone(), content);
    // This one has the manifest and nothing else.
    let partial = Fake::start(move |r| match r.path.contains("/blobs/") {
        true => Reply::new(404, ""),
        false => manifests_only.serve(r),
    });
    let origin = Fake::start(move |r| match r.header("authorization") {
        "" => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"origin\""),
        _ => full.serve(r),
    });
    let conf = format!(
        "[[registry]]\nlocation='{}'\n[[registry.mirror]]\nlocation='{}/copy'\n[[registry.mirror]]\nlocation='{}'\n",
        origin.host(),
        empty.host(),
        partial.host()
    );
    let registries = Registries::from_text(&conf).unwrap();
    let root = Root::new();
    let auth = Some(Auth { username: "bob".into(), password: "secret".into(), identity_token: None });
    let options = PullOptions { auth, ..PullOptions::default() };
    let name = format!("{}/app:1", origin.host());
    let record = block_on(pull_with(&root.store(), &name, options, |o| {
        Ok(Surroundings { registries, ..surroundings(o) })
    }));
    assert_eq!(record.unwrap().tags, [name]);
    assert_eq!(empty.count("/v2/copy/app/manifests/1"), 1);
    assert_eq!(partial.count("/v2/app/manifests/1"), 1);
    assert_eq!(origin.count("/v2/app/manifests/"), 0);
    for mirror in [&empty, &partial] {
        assert!(mirror.requests().iter().all(|r| r.header("authorization").is_empty()));
    }
    assert!(origin.requests().iter().any(|r| !r.header("authorization").is_empty()));
}

#[test]
fn several_at_once_download_once() {
    let content = one_image();
    let fake = Fake::start(move |r| {
        if r.path.contains("/blobs/") {
            std::thread::sleep(Duration::from_millis(100));
        }
        content.serve(r)
    });
    let (root, name) = (Root::new(), format!("{}/app:1", fake.host()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            // Each with a database connection of its own, as processes have.
            let store = root.store();
            let name = &name;
            scope.spawn(move || pull_image(&store, name, PullOptions::default()).unwrap());
        }
    });
    let layers = fake
        .requests()
        .iter()
        .filter(|r| r.path.contains("/blobs/"))
        .map(|r| r.path.clone())
        .collect::<Vec<_>>();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for path in layers {
        *counts.entry(path).or_default() += 1;
    }
    // Configurations are small and may be fetched by each; layers are not.
    assert_eq!(counts.values().filter(|n| **n == 1).count(), 2, "{counts:?}");
    root.check_tidy();
}

#[test]
fn the_same_layer_twice_is_fetched_once_and_three_at_a_time() {
    let mut content = Content::default();
    let mut archives: Vec<_> = (10..18).map(|n| archive(n, 2000)).collect();
    archives.push(archives[0].clone());
    let image = content.image(&archives, &manifest::machine().architecture);
    content.tag("1", &image);
    let (now, most) =
        (std::sync::atomic::AtomicUsize::new(0), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let seen = most.clone();
    let fake = Fake::start(move |r| {
        use std::sync::atomic::Ordering::SeqCst;
        if r.path.contains("/blobs/") {
            seen.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            std::thread::sleep(Duration::from_millis(30));
            now.fetch_sub(1, SeqCst);
        }
        content.serve(r)
    });
    let root = Root::new();
    pull_image(&root.store(), &format!("{}/app:1", fake.host()), PullOptions::default()).unwrap();
    assert_eq!(fake.requests().len(), 2 + 8);
    assert_eq!(most.load(std::sync::atomic::Ordering::SeqCst), 3);
}

#[test]
fn dropping_a_pull_cancels_it_and_leaves_nothing() {
    let content = one_image();
    let fake = Fake::start(move |r| {
        let reply = content.serve(r);
        if r.path.contains("/blobs/") && reply.body.len() > 100_000 {
            reply.cut(50_000, After::Stall)
        } else {
            reply
        }
    });
    let root = Root::new();
    let store = root.store();
    let name = format!("{}/app:1", fake.host());
    let slow = |o: &PullOptions| {
        let mut s = surroundings(o);
        s.settings.stall = Duration::from_secs(600);
        Ok(s)
    };
    let work = pull_with(&store, &name, PullOptions::default(), slow);
    let before = Instant::now();
    assert!(block_on(timeout_at(Some(before + Duration::from_millis(500)), work)).is_err());
    assert!(before.elapsed() < Duration::from_secs(5));
    root.check_tidy();
    let error =
        pull_image(&store, &name, PullOptions { policy: PullPolicy::Never, ..PullOptions::default() });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::ImageNotFound);
}
