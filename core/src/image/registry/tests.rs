use super::fake::{After, Fake, Reply, Request};
use super::*;
use crate::executor::{block_on, spawn};
use crate::image::Auth;
use crate::image::manifest::media;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const MANIFEST: &str = r#"{"schemaVersion":2}"#;
const PASSWORD: &str = "hunter2-secret";

pub(super) fn quick() -> Settings {
    Settings {
        connect: Duration::from_secs(10),
        stall: Duration::from_millis(400),
        document: Duration::from_secs(10),
        least: 64,
        attempts: 3,
        backoff: Duration::from_millis(5),
        longest_pause: Duration::from_secs(2),
        certificates: Vec::new(),
    }
}

pub(super) fn sources() -> Sources {
    let explicit = Auth { username: "bob".into(), password: PASSWORD.into(), identity_token: None };
    Sources { explicit: Some(explicit), ..Sources::default() }
}

pub(super) fn client_with(host: &str, sources: Sources) -> Client {
    let source = Source { host: host.into(), repository: "team/app".into(), insecure: false, mirror: false };
    Client::new(&source, sources, quick()).unwrap()
}

/// Runs on the I/O thread, as the library does.
pub(super) fn run<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    block_on(spawn(work).unwrap())
}

fn manifest(fake: &Fake, sources: Sources) -> Result<Fetched> {
    let client = client_with(&fake.host(), sources);
    run(async move { client.manifest("1", None).await })
}

pub(super) fn content() -> Vec<u8> {
    (0..50_000u32).flat_map(|i| i.to_le_bytes()).collect()
}

pub(super) fn descriptor(content: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media::OCI_CONFIG.into(),
        digest: Digest::of(content),
        size: content.len() as u64,
        platform: None,
        annotations: Default::default(),
        data: None,
    }
}

/// Fetches the content as a blob; also whether a wrong digest was the reason of failure.
pub(super) fn blob(fake: &Fake) -> (Result<Vec<u8>>, bool) {
    let client = client_with(&fake.host(), sources());
    run(async move {
        let mut reader = client.blob(&descriptor(&content()));
        let result = read_all(&mut reader).await;
        (result, reader.mismatched())
    })
}

/// No error says a secret.
fn check_secrecy(error: &Error) {
    let all = format!("{error} {error:?}");
    assert!(!all.contains(PASSWORD) && !all.contains("Ym9iOm"), "{all}");
    assert!(all.len() < 4000, "{}", all.len());
}

fn bearer(realm: &str) -> Reply {
    Reply::new(401, "").header("WWW-Authenticate", format!("Bearer realm=\"{realm}\",service=\"fake\""))
}

fn basic() -> Reply {
    Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"fake\"")
}

#[test]
fn a_manifest_by_tag_and_by_digest() {
    let fake = Fake::start(|_| {
        Reply::new(200, MANIFEST)
            .header("Content-Type", media::OCI_MANIFEST)
            .header("Docker-Content-Digest", Digest::of(MANIFEST.as_bytes()).as_str())
    });
    let fetched = manifest(&fake, sources()).unwrap();
    assert_eq!(fetched.bytes, MANIFEST.as_bytes());
    assert_eq!(fetched.media_type.as_deref(), Some(media::OCI_MANIFEST));
    let request = &fake.requests()[0];
    assert_eq!((&*request.method, &*request.path), ("GET", "/v2/team/app/manifests/1"));
    assert!(request.header("accept").contains(media::DOCKER_LIST));
    // Nobody asked for credentials, so none were sent.
    assert_eq!(request.header("authorization"), "");
    let client = client_with(&fake.host(), sources());
    let other = Digest::of(b"other");
    let error = run(async move { client.manifest(other.as_str(), Some(&other)).await }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Registry);
}

#[test]
fn basic_credentials_are_sent_when_asked_for() {
    let fake = Fake::start(|r| match r.header("authorization") {
        "Basic Ym9iOmh1bnRlcjItc2VjcmV0" => Reply::new(200, MANIFEST),
        _ => basic(),
    });
    manifest(&fake, sources()).unwrap();
    assert_eq!(fake.requests().len(), 2);
    let nothing = Sources { files: vec!["/nonexistent/auth.json".into()], ..Sources::default() };
    let error = manifest(&fake, nothing).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.context().contains(&("registry", fake.host())));
    assert!(
        error
            .context()
            .iter()
            .any(|(k, v)| *k == "searched" && v.contains("/nonexistent/auth.json (not there)"))
    );
}

#[test]
fn refused_credentials_are_not_tried_again() {
    let fake = Fake::start(|_| basic());
    let error = manifest(&fake, sources()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.message().contains("the caller"), "{error}");
    check_secrecy(&error);
    assert_eq!(fake.requests().len(), 2);
}

/// A registry with a token server of its own.
fn with_tokens(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Fake {
    let tokens = AtomicUsize::new(0);
    Fake::start(move |r| {
        let realm = format!("http://{}/token", r.header("host"));
        if r.path.starts_with("/token") {
            let n = tokens.fetch_add(1, Ordering::SeqCst);
            return Reply::new(200, format!(r#"{{"token":"t{n}","expires_in":60}}"#));
        }
        if r.header("authorization").is_empty() { bearer(&realm) } else { answer(r) }
    })
}

#[test]
fn a_token_is_fetched_for_pulling_this_repository() {
    let fake = with_tokens(|_| Reply::new(200, MANIFEST));
    manifest(&fake, sources()).unwrap();
    let requests = fake.requests();
    let paths: Vec<_> = requests.iter().map(|r| r.path.split('?').next().unwrap()).collect();
    assert_eq!(paths, ["/v2/team/app/manifests/1", "/token", "/v2/team/app/manifests/1"]);
    assert_eq!(requests[1].path, "/token?service=fake&scope=repository%3Ateam%2Fapp%3Apull&account=bob");
    assert_eq!(requests[1].header("authorization"), "Basic Ym9iOmh1bnRlcjItc2VjcmV0");
    assert_eq!(requests[2].header("authorization"), "Bearer t0");
    let anonymous = with_tokens(|_| Reply::new(200, MANIFEST));
    manifest(&anonymous, Sources::default()).unwrap();
    assert_eq!(anonymous.requests()[1].header("authorization"), "");
}

#[test]
fn an_identity_token_is_exchanged() {
    let fake = with_tokens(|_| Reply::new(200, MANIFEST));
    let auth = Auth { username: String::new(), password: String::new(), identity_token: Some("id&t".into()) };
    manifest(&fake, Sources { explicit: Some(auth), ..Sources::default() }).unwrap();
    let exchange = &fake.requests()[1];
    assert_eq!((&*exchange.method, &*exchange.path), ("POST", "/token"));
    assert!(
        exchange.body.contains("grant_type=refresh_token") && exchange.body.contains("refresh_token=id%26t")
    );
    assert!(exchange.body.contains("scope=repository%3Ateam%2Fapp%3Apull"));
    assert_eq!(exchange.header("authorization"), "");
}

#[test]
fn a_registry_that_never_has_enough_is_given_up() {
    let fake = with_tokens(|r| bearer(&format!("http://{}/token", r.header("host"))));
    let error = manifest(&fake, sources()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    check_secrecy(&error);
    assert_eq!((fake.count("/v2/"), fake.count("/token")), (3, 2));
}

#[test]
fn an_expired_token_is_replaced() {
    let fake = with_tokens(|r| match (&*r.path, r.header("authorization")) {
        (p, "Bearer t0") if p.contains("blobs") => bearer(&format!("http://{}/token", r.header("host"))),
        (p, _) if p.contains("blobs") => Reply::new(200, content()),
        _ => Reply::new(200, MANIFEST),
    });
    let client = client_with(&fake.host(), sources());
    run(async move {
        client.manifest("1", None).await.unwrap();
        let mut reader = client.blob(&descriptor(&content()));
        assert_eq!(read_all(&mut reader).await.unwrap(), content());
    });
    assert_eq!(fake.count("/token"), 2);
}

#[test]
fn token_servers_that_are_refused_or_fail() {
    let realms = [
        ("file:///etc/passwd", ErrorKind::Registry),
        ("ftp://127.0.0.1/", ErrorKind::Registry),
        ("http://169.254.169.254/latest/meta-data", ErrorKind::Registry),
        ("http://[fe80::1]/", ErrorKind::Registry),
        ("http://u:p@127.0.0.1/", ErrorKind::Registry),
        ("//no-scheme/", ErrorKind::Registry),
        ("", ErrorKind::Registry),
    ];
    for (realm, kind) in realms {
        let fake = Fake::start(move |_| bearer(realm));
        let error = manifest(&fake, sources()).unwrap_err();
        assert_eq!(error.kind(), kind, "{realm}: {error}");
        check_secrecy(&error);
        assert_eq!(fake.requests().len(), 1, "{realm}");
    }
    let answers: [(Reply, ErrorKind); 7] = [
        (Reply::new(401, r#"{"errors":[{"message":"wrong password"}]}"#), ErrorKind::Auth),
        (Reply::new(403, ""), ErrorKind::Auth),
        (Reply::new(500, ""), ErrorKind::Registry),
        (Reply::new(200, "<html>"), ErrorKind::Registry),
        (Reply::new(200, "{}"), ErrorKind::Registry),
        (Reply::new(200, r#"{"token":"a\nb"}"#), ErrorKind::Auth),
        (Reply::new(200, vec![b' '; 2 << 20]), ErrorKind::Registry),
    ];
    for (reply, kind) in answers {
        let shown = format!(
            "{} {:?}",
            reply.status,
            String::from_utf8_lossy(&reply.body[..reply.body.len().min(30)])
        );
        let fake = Fake::start(move |r| match r.path.starts_with("/token") {
            true => reply.clone(),
            false => bearer(&format!("http://{}/token", r.header("host"))),
        });
        let error = manifest(&fake, sources()).unwrap_err();
        assert_eq!(error.kind(), kind, "{shown}: {error}");
        check_secrecy(&error);
        assert!(fake.requests().len() <= 6, "{shown}");
    }
}

#[test]
fn malformed_challenges() {
    for header in ["", "Bearer", "Bearer realm", "Digest realm=\"x\"", "Bearer realm=\"a\", realm=\"b\""] {
        let fake = Fake::start(move |_| match header {
            "" => Reply::new(401, ""),
            header => Reply::new(401, "").header("WWW-Authenticate", header),
        });
        let error = manifest(&fake, sources()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Auth | ErrorKind::Registry), "{header}: {error}");
        assert_eq!(fake.requests().len(), 1, "{header}");
    }
}

#[test]
fn a_redirect_elsewhere_gets_no_credentials() {
    let elsewhere = Fake::start(|_| Reply::new(200, content()));
    let target = elsewhere.url("/bucket/x?signature=abc");
    let fake = Fake::start(move |r| match (r.header("authorization"), r.path.contains("/blobs/")) {
        ("", _) => basic(),
        (_, true) => Reply::new(307, "").header("Location", target.clone()),
        _ => Reply::new(200, MANIFEST),
    });
    assert_eq!(blob(&fake).0.unwrap(), content());
    let there = elsewhere.requests();
    assert_eq!(there.len(), 1);
    assert_eq!((there[0].header("authorization"), there[0].header("cookie")), ("", ""));
}

#[test]
fn who_is_redirected_to_may_not_ask_for_credentials() {
    let elsewhere = Fake::start(|_| basic());
    let target = elsewhere.url("/x?signature=abc");
    let fake = Fake::start(move |r| match r.header("authorization") {
        "" => basic(),
        _ => Reply::new(302, "").header("Location", target.clone()),
    });
    let error = blob(&fake).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Registry);
    assert!(!error.to_string().contains("signature"), "{error}");
    assert_eq!(elsewhere.requests().len(), 1);
    assert_eq!(elsewhere.requests()[0].header("authorization"), "");
}

#[test]
fn redirects_on_the_same_origin_keep_credentials() {
    let fake = Fake::start(|r| match (r.header("authorization"), &*r.path) {
        ("", _) => basic(),
        (_, "/elsewhere") => Reply::new(200, MANIFEST),
        _ => Reply::new(301, "").header("Location", "/elsewhere"),
    });
    assert_eq!(manifest(&fake, sources()).unwrap().bytes, MANIFEST.as_bytes());
}

#[test]
fn redirects_that_are_refused() {
    let fake = Fake::start(|r| Reply::new(302, "").header("Location", r.path.clone() + "x"));
    let error = manifest(&fake, sources()).unwrap_err();
    assert_eq!((error.kind(), fake.requests().len()), (ErrorKind::Registry, 11));
    for location in
        ["file:///etc/passwd", "http://169.254.169.254/", "ftp://x/", "http://u:p@127.0.0.1/", "http://", ""]
    {
        let fake = Fake::start(move |_| match location {
            "" => Reply::new(302, ""),
            location => Reply::new(302, "").header("Location", location),
        });
        let error = manifest(&fake, sources()).unwrap_err();
        assert_eq!((error.kind(), fake.requests().len()), (ErrorKind::Registry, 1), "{location}: {error}");
    }
}

#[test]
fn a_manifest_with_another_digest_than_announced() {
    for header in [Digest::of(b"other").as_str(), "sha256:../../x", "md5:x"] {
        let header = header.to_owned();
        let fake =
            Fake::start(move |_| Reply::new(200, MANIFEST).header("Docker-Content-Digest", header.clone()));
        let error = manifest(&fake, sources()).unwrap_err();
        assert_eq!((error.kind(), fake.requests().len()), (ErrorKind::Registry, 2), "{error}");
    }
}

#[test]
fn busy_and_failing_servers() {
    for status in [429, 500, 502, 503, 504, 408] {
        let fake = Fake::start(move |r| match r.number {
            0 => Reply::new(status, "").header("Retry-After", "0"),
            _ => Reply::new(200, MANIFEST),
        });
        assert!(manifest(&fake, sources()).is_ok(), "{status}");
        let always = Fake::start(move |_| Reply::new(status, ""));
        let error = manifest(&always, sources()).unwrap_err();
        assert_eq!((error.kind(), always.requests().len()), (ErrorKind::Registry, 3), "{status}");
        assert!(error.message().contains(&status.to_string()));
    }
    let waits = Fake::start(|r| match r.number {
        0 => Reply::new(429, "").header("Retry-After", "1"),
        _ => Reply::new(200, MANIFEST),
    });
    let before = Instant::now();
    manifest(&waits, sources()).unwrap();
    assert!(before.elapsed() >= Duration::from_secs(1));
    let patient = Fake::start(|_| Reply::new(429, "").header("Retry-After", "86400"));
    let error = manifest(&patient, sources()).unwrap_err();
    assert_eq!(patient.requests().len(), 1);
    assert!(error.context().contains(&("retry_after", "86400s".into())));
}

#[test]
fn answers_that_are_final() {
    let cases = [
        (404, ErrorKind::ImageNotFound),
        (403, ErrorKind::Auth),
        (400, ErrorKind::Registry),
        (405, ErrorKind::Registry),
        (501, ErrorKind::Registry),
        (204, ErrorKind::Registry),
        (206, ErrorKind::Registry),
        (304, ErrorKind::Registry),
    ];
    for (status, kind) in cases {
        let said = r#"{"errors":[{"code":"SOME_CODE","message":"because"}]}"#;
        let fake =
            Fake::start(move |_| Reply::new(status, if matches!(status, 204 | 304) { "" } else { said }));
        let error = manifest(&fake, sources()).unwrap_err();
        assert_eq!((error.kind(), fake.requests().len()), (kind, 1), "{status}: {error}");
        if !matches!(status, 204 | 206 | 304 | 404) {
            assert!(error.message().contains("because"), "{error}");
        }
    }
    let fake = Fake::start(|_| Reply::new(404, ""));
    assert_eq!(blob(&fake).0.unwrap_err().kind(), ErrorKind::Registry);
}

#[test]
fn endless_bodies_are_cut_off() {
    let error_body =
        Fake::start(|_| Reply::new(400, vec![b'x'; 65536]).announcing(u64::MAX).cut(65536, After::Repeat));
    let error = manifest(&error_body, sources()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Registry);
    assert!(error.to_string().len() < 1000);
    let body =
        Fake::start(|_| Reply::new(200, vec![b' '; 65536]).announcing(u64::MAX).cut(65536, After::Repeat));
    let error = manifest(&body, sources()).unwrap_err();
    assert_eq!((error.kind(), body.requests().len()), (ErrorKind::Registry, 1));
}

#[test]
fn nobody_there() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for host in [format!("127.0.0.1:{port}"), "registry.invalid".into()] {
        let client = client_with(&host, sources());
        let error = run(async move { client.manifest("1", None).await }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Registry, "{host}");
        assert!(error.message().contains(&host), "{error}");
        assert!(std::error::Error::source(&error).is_some(), "{error}");
    }
}

#[test]
fn garbage_instead_of_http() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let thread = std::thread::spawn(move || {
        for stream in listener.incoming() {
            if stopped.load(Ordering::SeqCst) {
                return;
            }
            let _ = std::io::Write::write_all(&mut stream.unwrap(), b"SSH-2.0-OpenSSH_9.2\r\n");
        }
    });
    let client = client_with(&host, sources());
    let error = run(async move { client.manifest("1", None).await }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Registry);
    stop.store(true, Ordering::SeqCst);
    let _ = std::net::TcpStream::connect(&host);
    thread.join().unwrap();
}

#[test]
fn dropping_the_future_cancels_at_once() {
    let fake = Fake::start(|_| Reply::new(200, content()).cut(1000, After::Stall));
    let source = Source { host: fake.host(), repository: "team/app".into(), insecure: false, mirror: false };
    let settings = Settings { stall: Duration::from_secs(600), ..quick() };
    let client = Client::new(&source, sources(), settings).unwrap();
    let work = spawn(async move {
        let mut reader = client.blob(&descriptor(&content()));
        read_all(&mut reader).await
    })
    .unwrap();
    let before = Instant::now();
    let deadline = Some(before + Duration::from_millis(300));
    assert!(block_on(crate::executor::timeout_at(deadline, work)).is_err());
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[test]
fn hosts_that_are_none() {
    for host in ["a/b", "a?b", "u@a", "a b", ""] {
        let source = Source { host: host.into(), repository: "x".into(), insecure: false, mirror: false };
        let result = Client::new(&source, Sources::default(), quick()).map(|_| ());
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidArgument, "{host}");
    }
}
