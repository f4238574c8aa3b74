use super::*;
use crate::image::Platform;
use proptest::prelude::*;
use serde_json::{Value, json};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn digest(n: u8) -> String {
    Digest::of(&[n]).to_string()
}

fn manifest() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": media::OCI_MANIFEST,
        "config": {"mediaType": media::OCI_CONFIG, "digest": digest(0), "size": 7},
        "layers": [
            {"mediaType": LAYER, "digest": digest(1), "size": 10},
            {"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": digest(2), "size": 20},
        ],
    })
}

fn index(platforms: &[&str]) -> Value {
    let entry = |(i, p): (usize, &&str)| {
        let mut parts = p.split('/');
        let mut entry = json!({"mediaType": media::OCI_MANIFEST, "digest": digest(i as u8), "size": 5});
        if !p.is_empty() {
            entry["platform"] =
                json!({"os": parts.next(), "architecture": parts.next(), "variant": parts.next()});
        }
        entry
    };
    let entries: Vec<Value> = platforms.iter().enumerate().map(entry).collect();
    json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": entries})
}

fn parse(document: &Value, expected: Option<&str>) -> Result<Document> {
    Document::parse(document.to_string().as_bytes(), expected)
}

fn with(path: &str, value: Value) -> Value {
    let mut document = manifest();
    match document.pointer_mut(path) {
        Some(place) => *place = value,
        None => {
            let (parent, key) = path.rsplit_once('/').unwrap();
            document.pointer_mut(parent).unwrap()[key] = value;
        }
    }
    document
}

#[test]
fn good_manifests() {
    let Document::Image(image) = parse(&manifest(), Some(media::OCI_MANIFEST)).unwrap() else { panic!() };
    assert_eq!((image.layers.len(), image.config.size), (2, 7));
    assert_eq!(image.layers[0].compression, Compression::Gzip);
    assert_eq!(image.layers[1].compression, Compression::Zstd);
    // No media type inside, as the first version of OCI had it; and one the server does not know.
    let mut plain = manifest();
    plain.as_object_mut().unwrap().remove("mediaType");
    for expected in [None, Some(media::OCI_MANIFEST), Some("text/plain; charset=utf-8")] {
        assert!(matches!(parse(&plain, expected), Ok(Document::Image(_))), "{expected:?}");
    }
    let docker = json!({
        "schemaVersion": 2,
        "mediaType": media::DOCKER_MANIFEST,
        "config": {"mediaType": media::DOCKER_CONFIG, "digest": digest(0), "size": 7},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "digest": digest(1), "size": 10}],
    });
    let with_charset = format!("{}; charset=utf-8", media::DOCKER_MANIFEST);
    assert!(matches!(parse(&docker, Some(&with_charset)), Ok(Document::Image(_))));
    assert!(matches!(parse(&index(&["linux/amd64"]), Some(media::OCI_INDEX)), Ok(Document::Index(_))));
    let data =
        json!({"mediaType": media::OCI_CONFIG, "digest": Digest::of(b"hi"), "size": 2, "data": "aGk="});
    let Document::Image(image) = parse(&with("/config", data), None).unwrap() else { panic!() };
    assert_eq!(image.config.data.as_deref(), Some(&b"hi"[..]));
    // Content never comes from elsewhere, whatever the manifest says.
    let foreign = with("/layers/0/urls", json!(["http://169.254.169.254/"]));
    assert!(parse(&foreign, None).is_ok());
}

#[test]
fn bad_manifests_name_the_field() {
    let mut hybrid = manifest();
    hybrid["manifests"] = index(&["linux/amd64"])["manifests"].clone();
    let mut hybrid_index = index(&["linux/amd64"]);
    hybrid_index["config"] = manifest()["config"].clone();
    let mut shouted = manifest();
    shouted["Layers"] = json!([]);
    let huge = json!(i64::MAX);
    let hex = digest(1);
    let cases: Vec<(Value, &str)> = vec![
        (hybrid, "manifests"),
        (hybrid_index, "manifests"),
        (shouted, "Layers"),
        (with("/layers/0/digest", json!("sha256:12")), "layers[0].digest"),
        (with("/layers/0/digest", json!(hex.to_uppercase())), "layers[0].digest"),
        (
            with("/layers/0/digest", json!("sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709")),
            "layers[0].digest",
        ),
        (with("/layers/0/digest", json!(format!("sha256:../../{}", &hex[13..]))), "layers[0].digest"),
        (with("/layers/1/size", json!(-1)), "layers[1].size"),
        (with("/layers/1/size", json!(1.5)), "layers[1].size"),
        (with("/layers/1/size", json!(u64::MAX)), "layers[1].size"),
        (with("/layers/1/size", huge), "layers"),
        (with("/layers/1/mediaType", json!("")), "layers[1].mediaType"),
        (with("/config/size", json!(MAX_DOCUMENT + 1)), "config.size"),
        (with("/config/mediaType", json!(LAYER)), "config.mediaType"),
        (with("/config/data", json!("aGk=")), "config.data"),
        (with("/config/data", json!("!")), "config.data"),
        (with("/config", Value::Null), "config"),
        (with("/layers", Value::Null), "layers"),
        (with("/schemaVersion", json!(3)), "schemaVersion"),
        (with("/schemaVersion", Value::Null), "schemaVersion"),
        (json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX}), "manifests"),
    ];
    for (document, field) in cases {
        match parse(&document, None) {
            Err(ManifestError::Invalid { field: f, .. }) => assert_eq!(f, field, "{document}"),
            other => panic!("{document}: {other:?}"),
        }
    }
    let wrong_data =
        json!({"mediaType": media::OCI_CONFIG, "digest": Digest::of(b"ho"), "size": 2, "data": "aGk="});
    assert!(parse(&with("/config", wrong_data), None).is_err());
    for (own, announced) in [
        (manifest(), media::DOCKER_MANIFEST),
        (manifest(), media::OCI_INDEX),
        (index(&["linux/amd64"]), media::OCI_MANIFEST),
    ] {
        assert!(parse(&own, Some(announced)).is_err(), "{announced}");
    }
    // Without a media type of its own, a document has to have the shape it was announced with.
    let mut bare = index(&["linux/amd64"]);
    bare.as_object_mut().unwrap().remove("mediaType");
    assert!(parse(&bare, Some(media::OCI_MANIFEST)).is_err());
    assert!(parse(&bare, Some(media::OCI_INDEX)).is_ok());
}

#[test]
fn bytes_that_are_no_manifest() {
    let nested = "[".repeat(10_000);
    let many = "x".repeat(MAX_DOCUMENT as usize + 1);
    let twice =
        format!(r#"{{"schemaVersion":2,"config":{0},"config":{0},"layers":[]}}"#, manifest()["config"]);
    let bom = format!("\u{feff}{}", manifest());
    let cases =
        ["", "{", "[]", "null", "\"x\"", "{\"schemaVersion\":2", &nested, &many, &twice, &bom, "<html>"];
    for case in cases {
        let shown = &case[..case.len().min(20)];
        assert!(
            matches!(Document::parse(case.as_bytes(), None), Err(ManifestError::Invalid { .. })),
            "{shown}"
        );
    }
    assert!(Document::parse(&[0xff, 0xfe, 0], None).is_err());
}

#[test]
fn what_is_not_supported_is_named() {
    let unsupported = |document: &Value, expected: Option<&str>, part: &str| match parse(document, expected) {
        Err(ManifestError::Unsupported(what)) => assert!(what.contains(part), "{what}"),
        other => panic!("{document}: {other:?}"),
    };
    let schema1 = json!({"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": [], "history": []});
    unsupported(&schema1, None, "schema 1");
    let signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    unsupported(&schema1, Some(signed), "schema 1");
    let encrypted = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted";
    unsupported(&with("/layers/0/mediaType", json!(encrypted)), None, encrypted);
    unsupported(&with("/layers/0/mediaType", json!("text/plain")), None, "text/plain");
    let helm = "application/vnd.cncf.helm.config.v1+json";
    unsupported(&with("/config/mediaType", json!(helm)), None, helm);
    let mut artifact = with("/config/mediaType", json!("application/vnd.oci.empty.v1+json"));
    artifact["artifactType"] = json!("application/x-thing");
    unsupported(&artifact, None, "application/x-thing");
    unsupported(&with("/mediaType", json!("application/x-other")), None, "application/x-other");
    let one = manifest()["layers"][0].clone();
    unsupported(&with("/layers", json!(vec![one; 500])), None, "500 layers");
}

fn chosen(platforms: &[&str], wanted: &str) -> Option<usize> {
    let Document::Index(index) = parse(&index(platforms), None).unwrap() else { panic!() };
    match choose(&index, &wanted.parse().unwrap()) {
        Choice::Manifest(d) => index.manifests.iter().position(|m| m.digest == d.digest),
        Choice::Nothing(_) => None,
    }
}

#[test]
fn the_nearest_platform_is_chosen() {
    let cases: &[(&[&str], &str, Option<usize>)] = &[
        (&["linux/arm64", "linux/amd64"], "linux/amd64", Some(1)),
        (&["linux/arm64/v8", "linux/amd64"], "linux/arm64", Some(0)),
        (&["linux/arm64"], "linux/arm64/v8", Some(0)),
        (&["linux/386", "linux/amd64"], "linux/amd64", Some(1)),
        (&["linux/386"], "linux/amd64", Some(0)),
        (&["linux/amd64"], "linux/386", None),
        (&["linux/amd64/v3", "linux/amd64"], "linux/amd64", Some(1)),
        (&["linux/amd64/v3"], "linux/amd64", None),
        (&["linux/amd64", "linux/amd64/v2", "linux/amd64/v3"], "linux/amd64/v3", Some(2)),
        (&["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v3", Some(1)),
        (&["linux/amd64"], "linux/amd64/v4", Some(0)),
        (&["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], "linux/arm", Some(2)),
        (&["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7", Some(1)),
        (&["linux/arm/v7"], "linux/arm/v6", None),
        (&["linux/arm/v7"], "linux/arm64", Some(0)),
        (&["linux/arm/v7", "linux/arm64"], "arm64", Some(1)),
        (&["linux/amd64", "linux/amd64"], "x86_64", Some(0)),
        (&["windows/amd64", "linux/amd64"], "linux/amd64", Some(1)),
        (&["windows/amd64"], "linux/amd64", None),
        (&["unknown/unknown", "linux/amd64"], "linux/amd64", Some(1)),
        (&["unknown/unknown"], "linux/amd64", None),
        (&["", "linux/amd64"], "linux/amd64", Some(1)),
        (&["linux/arm64", ""], "linux/amd64", Some(1)),
        (&["linux/s390x"], "linux/s390x", Some(0)),
        (&[], "linux/amd64", None),
    ];
    for (platforms, wanted, expected) in cases {
        assert_eq!(chosen(platforms, wanted), *expected, "{wanted} of {platforms:?}");
    }
    let Document::Index(index) = parse(&index(&["linux/arm64", "unknown/unknown"]), None).unwrap() else {
        panic!()
    };
    let nothing = choose(&index, &"linux/s390x".parse().unwrap());
    assert_eq!(nothing, Choice::Nothing(vec!["linux/arm64".into()]));
}

#[test]
fn platforms_are_read() {
    let read = |t: &str| t.parse::<Platform>().map(|p| p.to_string());
    for (text, shown) in [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("Linux/ARM64/v8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7"),
        ("armhf", "linux/arm/v7"),
        ("aarch64", "linux/arm64"),
    ] {
        assert_eq!(read(text).unwrap(), shown);
    }
    assert_eq!(read("linux").unwrap(), machine().to_string());
    for text in ["", "/", "linux/", "/amd64", "linux//v8", "a/b/c/d", "linux/amd 64", "linux/é", "linux/a\n"]
    {
        let error = read(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.context().contains(&("field", "platform".into())));
    }
}

fn config() -> Value {
    json!({
        "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
        "config": {"Env": ["A=b"], "Cmd": ["sh"], "Entrypoint": null, "ExposedPorts": {"80/tcp": {}}, "Volumes": null,
                   "WorkingDir": "/w", "User": "1", "Labels": null, "OnBuild": [], "Healthcheck": {"Test": ["NONE"]}},
        "rootfs": {"type": "layers", "diff_ids": [digest(1), digest(2)]},
        "history": [{"created_by": "a"}, {"created_by": "b", "empty_layer": true}, {"comment": null}],
    })
}

#[test]
fn configurations() {
    let bytes = config().to_string();
    let file = ConfigFile::parse(bytes.as_bytes(), 2).unwrap();
    assert_eq!(file.config.env, ["A=b"]);
    assert_eq!(file.config.cmd, ["sh"]);
    assert!(file.config.entrypoint.is_empty());
    assert_eq!(file.config.exposed_ports, ["80/tcp"]);
    assert_eq!(file.platform().to_string(), "linux/amd64");
    assert_eq!(file.history.len(), 3);
    let mut word = config();
    word["config"]["Entrypoint"] = json!("/bin/sh");
    assert_eq!(ConfigFile::parse(word.to_string().as_bytes(), 2).unwrap().config.entrypoint, ["/bin/sh"]);

    let bad = |change: &dyn Fn(&mut Value), layers: usize| {
        let mut document = config();
        change(&mut document);
        ConfigFile::parse(document.to_string().as_bytes(), layers).expect_err("refused")
    };
    assert!(matches!(bad(&|_| {}, 1), ManifestError::Invalid { field, .. } if field == "rootfs.diff_ids"));
    assert!(matches!(bad(&|d| d["rootfs"] = json!({}), 2), ManifestError::Invalid { .. }));
    assert!(matches!(bad(&|d| d["rootfs"]["diff_ids"][0] = json!("../x"), 2), ManifestError::Invalid { .. }));
    assert!(matches!(bad(&|d| d["config"]["Env"] = json!("A=b"), 2), ManifestError::Invalid { .. }));
    assert!(matches!(bad(&|d| d["config"]["Cmd"] = json!([1]), 2), ManifestError::Invalid { .. }));
    assert!(matches!(bad(&|d| d["os"] = json!("windows"), 2), ManifestError::Unsupported(_)));
    assert!(matches!(bad(&|d| d["rootfs"]["type"] = json!("x"), 2), ManifestError::Unsupported(_)));
    assert!(ConfigFile::parse(b"{}", 0).is_ok());
    assert!(ConfigFile::parse(b"[]", 0).is_err());
    assert!(ConfigFile::parse(&vec![b' '; MAX_DOCUMENT as usize + 1], 0).is_err());
}

#[test]
fn errors_keep_their_kind() {
    let invalid = ManifestError::invalid("layers[0].size", "no").into_error(ErrorKind::Registry);
    assert_eq!(invalid.kind(), ErrorKind::Registry);
    assert!(invalid.context().contains(&("field", "layers[0].size".into())));
    let other = ManifestError::Unsupported("x".into()).into_error(ErrorKind::Registry);
    assert_eq!(other.kind(), ErrorKind::Unsupported);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn damaged_documents_never_panic(cut in 0usize..600, byte: u8, at in 0usize..600) {
        for document in [manifest(), index(&["linux/amd64", "linux/arm64/v8"]), config()] {
            let mut bytes = document.to_string().into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = Document::parse(&bytes, None);
            let _ = ConfigFile::parse(&bytes, 2);
            bytes.truncate(cut);
            let _ = Document::parse(&bytes, Some(media::OCI_MANIFEST));
        }
    }
}
