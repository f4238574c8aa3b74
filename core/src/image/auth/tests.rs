use super::*;
use crate::executor::block_on;
use base64::Engine as _;

/// A folder that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        let mut name = [0u8; 8];
        getrandom::fill(&mut name).unwrap();
        let path = std::env::temp_dir().join(format!("auth-test-{}", super::super::digest::to_hex(&name)));
        std::fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn entry(text: &str) -> serde_json::Value {
    serde_json::json!({"auth": base64(text)})
}

fn sources(files: Vec<PathBuf>) -> Sources {
    Sources { files, helper_timeout: Duration::from_secs(20), ..Sources::default() }
}

fn user(found: &Found) -> Option<String> {
    match found.credentials.as_ref()? {
        Credentials::Password { username, password } => Some(format!("{username}/{}", password.expose())),
        Credentials::IdentityToken(t) => Some(format!("identity {}", t.expose())),
        Credentials::RegistryToken(t) => Some(format!("registry {}", t.expose())),
    }
}

#[test]
fn the_first_source_with_an_entry_wins() {
    let scratch = Scratch::new();
    let first = scratch.file("1.json", &serde_json::json!({"auths": {"a.com": entry("one:p")}}).to_string());
    let both = serde_json::json!({"auths": {"a.com": entry("two:p"), "b.com": entry("two:p:with:colons")}});
    let second = scratch.file("2.json", &both.to_string());
    let mut all = sources(vec![scratch.0.join("none.json"), first.clone(), second.clone()]);
    let find = |s: &Sources, registry: &str| block_on(s.find(registry, "app"));
    assert_eq!(user(&find(&all, "a.com")).as_deref(), Some("one/p"));
    assert_eq!(user(&find(&all, "b.com")).as_deref(), Some("two/p:with:colons"));
    let nothing = find(&all, "c.com");
    assert!(nothing.credentials.is_none());
    assert!(nothing.searched[0].contains("none.json (not there)") && nothing.searched.len() == 3);
    assert_eq!(find(&all, "a.com").source.as_deref(), first.to_str());

    all.inline = Some(serde_json::json!({"auths": {"a.com": entry("env:p")}}).to_string());
    assert_eq!(user(&find(&all, "a.com")).as_deref(), Some("env/p"));
    let auth = Auth { username: "me".into(), password: "x".into(), identity_token: None };
    all.explicit = Some(auth);
    assert_eq!(user(&find(&all, "a.com")).as_deref(), Some("me/x"));
    assert_eq!(user(&find(&all.without_explicit(), "a.com")).as_deref(), Some("env/p"));
}

#[test]
fn keys_are_matched_as_docker_and_podman_do() {
    let config = serde_json::json!({"auths": {
        "https://index.docker.io/v1/": entry("hub:p"),
        "quay.io": entry("host:p"),
        "quay.io/team": entry("team:p"),
        "quay.io/team/app": entry("app:p"),
        "https://reg.example/v2/": entry("scheme:p"),
        "localhost:5000": entry("port:p"),
        "token.example": {"identitytoken": "abc", "auth": base64("user:")},
        "bearer.example": {"registrytoken": "def"},
        "plain.example": {"username": "u", "password": "p"},
        "stored.example": {},
        "padded.example": {"auth": base64("u:p\0\0")},
    }});
    let scratch = Scratch::new();
    let all = sources(vec![scratch.file("config.json", &config.to_string())]);
    let cases = [
        ("docker.io", "library/debian", Some("hub/p")),
        ("quay.io", "other", Some("host/p")),
        ("quay.io", "team/other", Some("team/p")),
        ("quay.io", "teammate/other", Some("host/p")),
        ("quay.io", "team/app", Some("app/p")),
        ("quay.io", "team/app/deep", Some("app/p")),
        ("quay.io:443", "team/app", None),
        ("reg.example", "x", Some("scheme/p")),
        ("localhost:5000", "x", Some("port/p")),
        ("localhost", "x", None),
        ("localhost:50001", "x", None),
        ("evil.quay.io", "x", None),
        ("token.example", "x", Some("identity abc")),
        ("bearer.example", "x", Some("registry def")),
        ("plain.example", "x", Some("u/p")),
        ("stored.example", "x", None),
        ("padded.example", "x", Some("u/p")),
    ];
    for (registry, repository, expected) in cases {
        let found = block_on(all.find(registry, repository));
        assert_eq!(user(&found).as_deref(), expected, "{registry}/{repository}");
    }
}

#[test]
fn damaged_files_are_named_and_passed_over() {
    let scratch = Scratch::new();
    let bad = [
        scratch.file("1.json", "{\"auths\": {\"a.com\": {\"auth\": \"top secret"),
        scratch.file("2.json", &serde_json::json!({"auths": {"a.com": {"auth": "???"}}}).to_string()),
        scratch.file(
            "3.json",
            &serde_json::json!({"auths": {"a.com": {"auth": base64("nocolon")}}}).to_string(),
        ),
        scratch.file("4.json", "[]"),
        scratch.file("5.json", "{\"auths\": []}"),
        scratch.0.clone(),
    ];
    let good = scratch.file("6.json", &serde_json::json!({"auths": {"a.com": entry("u:p")}}).to_string());
    let count = bad.len();
    let mut all = sources(bad.to_vec());
    let found = block_on(all.find("a.com", "x"));
    assert!(found.credentials.is_none());
    assert_eq!(found.searched.len(), count);
    assert!(!format!("{found:?}").contains("top secret"));
    all.files.push(good);
    assert_eq!(user(&block_on(all.find("a.com", "x"))).as_deref(), Some("u/p"));
}

/// Makes a helper called `test` in the folder, to be found through it.
fn make_helper(scratch: &Scratch, script: &str) -> OsString {
    let file = scratch.0.join("docker-credential-test");
    // Written by a child, for a file that this process has open, even for a moment, can't be executed.
    let mut child = std::process::Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(&file)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::Write;
    write!(child.stdin.take().unwrap(), "#!/bin/sh\n{script}").unwrap();
    assert!(child.wait().unwrap().success());
    scratch.0.clone().into_os_string()
}

#[test]
fn helpers_are_asked() {
    let script = r#"
[ "$1" = get ] || exit 3
read -r server || true
case "$server" in
  pass.example) echo '{"ServerURL":"x","Username":"u","Secret":"s3cret"}' ;;
  token.example) echo '{"ServerURL":"x","Username":"<token>","Secret":"idt"}' ;;
  https://index.docker.io/v1/) echo '{"Username":"hub","Secret":"p"}' ;;
  fails.example) echo "cannot, password was hunter2" ; exit 1 ;;
  garbage.example) echo "hunter2" ;;
  huge.example) head -c 3000000 /dev/zero ;;
  *) echo "credentials not found in native keychain"; exit 1 ;;
esac
"#;
    let scratch = Scratch::new();
    let path = make_helper(&scratch, script);
    let get = |server: &str| block_on(helper::get("test", server, &path, Duration::from_secs(20)));
    let password = |u: &str, p: &str| Credentials::Password { username: u.into(), password: Secret::new(p) };
    assert_eq!(get("pass.example").unwrap(), Some(password("u", "s3cret")));
    assert_eq!(get("token.example").unwrap(), Some(Credentials::IdentityToken(Secret::new("idt"))));
    assert_eq!(get("unknown.example").unwrap(), None);
    for server in ["fails.example", "garbage.example", "huge.example"] {
        let why = get(server).unwrap_err();
        assert!(!why.contains("hunter2") && why.len() < 200, "{why}");
    }
    let config = serde_json::json!({
        "auths": {"fails.example": entry("file:p"), "unknown.example": entry("file:p")},
        "credsStore": "test",
        "credHelpers": {"none.example": "does-not-exist", "bad.example": "../../bin/sh"},
    });
    let mut all = sources(vec![scratch.file("config.json", &config.to_string())]);
    all.helper_path = path;
    for (registry, expected) in [
        ("pass.example", Some("u/s3cret")),
        ("docker.io", Some("hub/p")),
        ("fails.example", Some("file/p")),
        ("unknown.example", Some("file/p")),
        ("none.example", None),
        ("bad.example", None),
    ] {
        assert_eq!(user(&block_on(all.find(registry, "x"))).as_deref(), expected, "{registry}");
    }
    // registries.conf's list decides which of them is asked first; a failing one is passed over.
    let order = |helpers: &[&str]| {
        let all = all.clone().with_helpers(&helpers.iter().map(|h| h.to_string()).collect::<Vec<_>>());
        move |registry: &str| block_on(all.find(registry, "x"))
    };
    let helper_only = order(&["test"]);
    assert_eq!(user(&helper_only("pass.example")).as_deref(), Some("u/s3cret"));
    assert_eq!(user(&helper_only("docker.io")).as_deref(), Some("hub/p"));
    assert_eq!(user(&helper_only("unknown.example")), None);
    let then_files = order(&["does-not-exist", "test", "containers-auth.json"]);
    let found = then_files("fails.example");
    assert_eq!(user(&found).as_deref(), Some("file/p"));
    assert!(found.searched[0].contains("docker-credential-does-not-exist is not in PATH"), "{found:?}");
    assert!(found.searched[1].contains("exit code 1") && !format!("{found:?}").contains("hunter2"));
    let missing = block_on(all.find("none.example", "x"));
    assert!(missing.searched[0].contains("docker-credential-does-not-exist is not in PATH"));
}

#[test]
fn a_helper_that_hangs_is_ended() {
    let scratch = Scratch::new();
    let path = make_helper(&scratch, "exec sleep 600");
    let before = std::time::Instant::now();
    let why = block_on(helper::get("test", "x", &path, Duration::from_millis(200))).unwrap_err();
    assert!(why.contains("no answer"), "{why}");
    assert!(before.elapsed() < Duration::from_secs(20));
}

#[test]
fn explicit_credentials_are_checked() {
    let auth = |u: &str, p: &str, t: Option<&str>| Auth {
        username: u.into(),
        password: p.into(),
        identity_token: t.map(Into::into),
    };
    assert!(check_explicit(&auth("u", "p", None)).is_ok());
    assert!(check_explicit(&auth("u", "", None)).is_ok());
    assert!(check_explicit(&auth("", "", Some("t"))).is_ok());
    for bad in [auth("", "p", None), auth("u:x", "p", None), auth("u\n", "p", None), auth("u", "p\r", None)] {
        let error = check_explicit(&bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.context()[0].1.starts_with("auth."));
    }
}
