use super::*;
use proptest::prelude::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn good_references_are_normalised_and_come_back_familiar() {
    let long_tag = "t".repeat(128);
    let cases: &[(&str, &str, &str)] = &[
        ("debian", "docker.io/library/debian:latest", "debian:latest"),
        ("debian:12", "docker.io/library/debian:12", "debian:12"),
        ("library/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("index.docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("docker.io/library/debian:12", "docker.io/library/debian:12", "debian:12"),
        ("user/app", "docker.io/user/app:latest", "user/app:latest"),
        ("user/app/deep", "docker.io/user/app/deep:latest", "user/app/deep:latest"),
        ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("quay.io/app", "quay.io/app:latest", "quay.io/app:latest"),
        ("quay.io/a/b/c:v1.2_x-y", "quay.io/a/b/c:v1.2_x-y", "quay.io/a/b/c:v1.2_x-y"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"),
        (
            "localhost:5000/library/app",
            "localhost:5000/library/app:latest",
            "localhost:5000/library/app:latest",
        ),
        ("127.0.0.1:5000/app:1", "127.0.0.1:5000/app:1", "127.0.0.1:5000/app:1"),
        ("[::1]/app", "[::1]/app:latest", "[::1]/app:latest"),
        ("[2001:db8::1]:5000/app:1", "[2001:db8::1]:5000/app:1", "[2001:db8::1]:5000/app:1"),
        ("registry:5000/app", "registry:5000/app:latest", "registry:5000/app:latest"),
        ("Registry/app", "Registry/app:latest", "Registry/app:latest"),
        ("xn--n3h.com/app", "xn--n3h.com/app:latest", "xn--n3h.com/app:latest"),
        (
            "a_b/c__d/e-f/g---h/i.j",
            "docker.io/a_b/c__d/e-f/g---h/i.j:latest",
            "a_b/c__d/e-f/g---h/i.j:latest",
        ),
        ("debian:_x", "docker.io/library/debian:_x", "debian:_x"),
        ("debian:Latest", "docker.io/library/debian:Latest", "debian:Latest"),
        ("0", "docker.io/library/0:latest", "0:latest"),
        ("test.com:tag", "docker.io/library/test.com:tag", "test.com:tag"),
        ("localhost", "docker.io/library/localhost:latest", "localhost:latest"),
    ];
    for (text, full, familiar) in cases {
        let reference = Reference::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(reference.to_string(), *full, "{text}");
        assert_eq!(reference.familiar(), *familiar, "{text}");
    }
    let with = |suffix: &str| Reference::parse(&format!("debian{suffix}")).unwrap();
    assert_eq!(with(&format!(":{long_tag}")).tag(), Some(&*long_tag));
    let digest = with(&format!("@sha256:{HEX}"));
    assert_eq!((digest.tag(), digest.identifier()), (None, &*format!("sha256:{HEX}")));
    assert_eq!(digest.familiar(), format!("debian@sha256:{HEX}"));
    let both = with(&format!(":12@sha256:{HEX}"));
    assert_eq!((both.tag(), both.identifier()), (Some("12"), &*format!("sha256:{HEX}")));
    assert_eq!(both.to_string(), format!("docker.io/library/debian:12@sha256:{HEX}"));
}

#[test]
fn parts() {
    let r = Reference::parse("[::1]:5000/a/b:1").unwrap();
    assert_eq!((r.domain(), r.path.as_str(), r.tag()), ("[::1]:5000", "a/b", Some("1")));
    assert_eq!(r.with_digest(Digest::of(b"")).to_string(), format!("[::1]:5000/a/b@sha256:{HEX}"));
}

#[test]
fn bad_references_say_what_is_wrong() {
    let upper = HEX.to_uppercase();
    let cases = [
        String::new(),
        " ".into(),
        "debian ".into(),
        " debian".into(),
        "debian\n".into(),
        "debian\0".into(),
        "Debian".into(),
        "user/App".into(),
        ":tag".into(),
        "debian:".into(),
        "debian:-x".into(),
        "debian:.x".into(),
        "debian:a/b:c:d".into(),
        "debian:a:b".into(),
        "debian:é".into(),
        format!("debian:{}", "t".repeat(129)),
        "debian@".into(),
        "debian@sha256".into(),
        "debian@sha256:12".into(),
        format!("debian@sha256:{upper}"),
        format!("debian@sha512:{HEX}"),
        format!("debian@md5:{}", &HEX[..32]),
        format!("debian@sha256:{HEX}:tag"),
        format!("debian@sha256:{HEX}@sha256:{HEX}"),
        "debian@sha256:../../etc/passwd".into(),
        format!("@sha256:{HEX}"),
        HEX.into(),
        "/debian".into(),
        "debian/".into(),
        "a//b".into(),
        "./debian".into(),
        "../debian".into(),
        "a/../b".into(),
        "a/./b".into(),
        "-debian".into(),
        "debian-".into(),
        "_debian".into(),
        "a..b".into(),
        "a.-b".into(),
        "a___b".into(),
        "a._b".into(),
        "http://quay.io/app".into(),
        "https://quay.io/app".into(),
        "docker://debian".into(),
        "user:password@quay.io/app".into(),
        "quay.io:/app".into(),
        "quay.io:0/app".into(),
        "quay.io:65536/app".into(),
        "quay.io:+80/app".into(),
        "quay.io:port/app".into(),
        "quay..io/app".into(),
        ".quay.io/app".into(),
        "-quay.io/app".into(),
        "quay-.io/app".into(),
        "qu_ay.io/app".into(),
        "quay.io./app".into(),
        "quay.io".to_owned() + "/",
        "[::1/app".into(),
        "[::1]x/app".into(),
        "[::1]:/app".into(),
        "[fe80::1%eth0]/app".into(),
        "[127.0.0.1]/app".into(),
        "[]/app".into(),
        "[::1]".into(),
        "é/app".into(),
        "a\\b".into(),
        "a b/c".into(),
        "--help".into(),
        "$(id)".into(),
        "a;b".into(),
        "x".repeat(256),
        "x".repeat(10_000),
        format!("quay.io/{}", "a/".repeat(130) + "a"),
    ];
    for case in cases {
        let error = Reference::parse(&case).map(|r| r.to_string()).expect_err(&case);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.context().contains(&("field", "reference".into())));
        assert!(error.to_string().len() < 2000);
    }
    assert!(Reference::parse("Debian").unwrap_err().message().contains("lower case"));
}

#[test]
fn the_longest_name_is_accepted() {
    let path = "a".repeat(MAX_NAME - "quay.io/".len());
    assert!(Reference::parse(&format!("quay.io/{path}")).is_ok());
    assert!(Reference::parse(&format!("quay.io/{path}a")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_panics_and_what_parses_is_stable(text in "\\PC{0,80}|[a-z0-9./:@_\\[\\]A-Z-]{0,120}") {
        if let Ok(reference) = Reference::parse(&text) {
            for form in [reference.to_string(), reference.familiar()] {
                prop_assert_eq!(&Reference::parse(&form).unwrap(), &reference);
            }
            prop_assert!(!reference.path.split('/').any(|c| c.is_empty() || c == "." || c == ".."));
        }
    }

    #[test]
    fn everything_of_the_grammar_parses(
        domain in proptest::option::of("[a-z0-9]{1,8}(-[a-z0-9]{1,3})?(\\.[a-zA-Z0-9]{1,5}){1,3}(:[1-9][0-9]{0,3})?"),
        path in "[a-z0-9]{1,5}((_|__|-{1,3})[a-z0-9]{1,5}){0,3}(/[a-z0-9]{1,5}([._][a-z0-9]{1,5}){0,2}){0,3}",
        tag in proptest::option::of("[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"),
        digest in any::<bool>(),
    ) {
        let mut text = String::new();
        if let Some(domain) = &domain {
            text += &format!("{domain}/");
        }
        text += &path;
        if let Some(tag) = &tag {
            text += &format!(":{tag}");
        }
        if digest {
            text += &format!("@sha256:{HEX}");
        }
        let reference = Reference::parse(&text).unwrap();
        prop_assert_eq!(reference.digest().is_some(), digest);
        if tag.is_some() {
            prop_assert_eq!(reference.tag(), tag.as_deref());
        }
    }
}
