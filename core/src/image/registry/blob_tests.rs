//! Blobs from servers that break off, lie and dawdle.

use super::fake::{After, Fake, Reply, Request};
use super::tests::{blob, client_with, content, descriptor, run, sources};
use super::*;
use std::time::Instant;

fn part(request: &Request, content: &[u8]) -> Option<Reply> {
    let (start, end) = request.header("range").strip_prefix("bytes=")?.split_once('-')?;
    let (start, end): (usize, usize) = (start.parse().ok()?, end.parse().ok()?);
    let range = format!("bytes {start}-{end}/{}", content.len());
    Some(Reply::new(206, &content[start..=end]).header("Content-Range", range))
}

#[test]
fn a_blob_in_one_piece() {
    for chunked in [false, true] {
        let fake = Fake::start(move |_| {
            let reply = Reply::new(200, content());
            if chunked { reply.announcing(u64::MAX) } else { reply }
        });
        assert_eq!(blob(&fake).0.unwrap(), content());
        assert_eq!(fake.requests().len(), 1);
    }
}

#[test]
fn a_broken_transfer_is_resumed_where_it_ended() {
    for after in [After::Close, After::Reset, After::Stall] {
        for chunked in [false, true] {
            let fake = Fake::start(move |r| match part(r, &content()) {
                Some(reply) => reply,
                None => {
                    let reply = Reply::new(200, content()).cut(70_000, after);
                    if chunked { reply.announcing(u64::MAX) } else { reply }
                }
            });
            assert_eq!(blob(&fake).0.unwrap(), content(), "{after:?}");
            let ranges: Vec<_> = fake.requests().iter().map(|r| r.header("range").to_owned()).collect();
            // A reset may take bytes with it that were on their way.
            assert_eq!(ranges.len(), 2, "{after:?} {ranges:?}");
            if after != After::Reset {
                assert_eq!(ranges, ["", "bytes=70000-199999"]);
            }
        }
    }
}

#[test]
fn a_server_without_ranges_begins_anew() {
    let fake = Fake::start(|r| match r.number {
        0 => Reply::new(200, content()).cut(70_000, After::Close),
        1 => Reply::new(200, content()).cut(50_000, After::Close),
        _ => Reply::new(200, content()),
    });
    assert_eq!(blob(&fake).0.unwrap(), content());
    assert_eq!(fake.requests().len(), 3);
}

#[test]
fn an_unsatisfiable_range_is_asked_for_whole() {
    let fake = Fake::start(|r| match (r.number, r.header("range")) {
        (0, _) => Reply::new(200, content()).cut(70_000, After::Close),
        (_, "") => Reply::new(200, content()),
        _ => Reply::new(416, ""),
    });
    assert_eq!(blob(&fake).0.unwrap(), content());
    assert_eq!(fake.requests().len(), 3);
}

#[test]
fn wrong_parts_are_errors() {
    for range in [
        "bytes 0-199999/200000",
        "bytes 70000-199998/200000",
        "bytes 70000-199999/1",
        "bytes */200000",
        "x",
        "",
    ] {
        let fake = Fake::start(move |r| match r.number {
            0 => Reply::new(200, content()).cut(70_000, After::Close),
            _ => Reply::new(206, &content()[70_000..]).header("Content-Range", range),
        });
        let error = blob(&fake).0.unwrap_err();
        assert_eq!((error.kind(), fake.requests().len()), (ErrorKind::Registry, 2), "{range}");
    }
    let unasked =
        Fake::start(|_| Reply::new(206, content()).header("Content-Range", "bytes 0-199999/200000"));
    assert_eq!(blob(&unasked).0.unwrap_err().kind(), ErrorKind::Registry);
}

#[test]
fn lengths_that_lie() {
    let short = Fake::start(|_| Reply::new(200, &content()[..100_000]));
    let long = Fake::start(|_| Reply::new(200, [content(), vec![0]].concat()));
    let long_chunked =
        Fake::start(|_| Reply::new(200, [content(), vec![0; 100_000]].concat()).announcing(u64::MAX));
    let endless =
        Fake::start(|_| Reply::new(200, content()).announcing(u64::MAX).cut(200_000, After::Repeat));
    for fake in [short, long] {
        assert_eq!(blob(&fake).0.unwrap_err().kind(), ErrorKind::Registry);
        assert_eq!(fake.requests().len(), 1);
    }
    // What comes after the announced size is never looked at, or refused.
    for fake in [long_chunked, endless] {
        if let (Err(error), _) = blob(&fake) {
            assert_eq!(error.kind(), ErrorKind::Registry);
        }
        assert_eq!(fake.requests().len(), 1);
    }
}

#[test]
fn a_blob_that_never_arrives_is_given_up() {
    let endings = [After::Close, After::Stall];
    for after in endings {
        let fake = Fake::start(move |r| match part(r, &content()) {
            Some(reply) => reply.cut(0, after),
            None => Reply::new(200, content()).cut(1000, after),
        });
        let error = blob(&fake).0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Registry);
        assert_eq!(fake.requests().len(), 3, "{after:?}: {error}");
        assert!(error.context().iter().any(|(k, _)| *k == "digest"));
    }
}

#[test]
fn a_server_that_drips_is_given_up() {
    let fake = Fake::start(|_| {
        let mut reply = Reply::new(200, content());
        reply.drip = Some(Duration::from_millis(50));
        reply
    });
    let before = Instant::now();
    let error = blob(&fake).0.unwrap_err();
    assert_eq!((error.kind(), fake.requests().len()), (ErrorKind::Registry, 3));
    assert!(before.elapsed() < Duration::from_secs(30));
}

#[test]
fn wrong_content_is_noticed_and_tried_once_more() {
    let fake = Fake::start(|_| Reply::new(200, vec![7; 200_000]));
    let (result, mismatched) = blob(&fake);
    assert_eq!((result.unwrap_err().kind(), mismatched), (ErrorKind::Registry, true));
    let client = client_with(&fake.host(), sources());
    let error = run(async move { client.small_blob(&descriptor(&content())).await }).unwrap_err();
    assert_eq!((error.kind(), fake.requests().len()), (ErrorKind::Registry, 3));
    let second = Fake::start(|r| Reply::new(200, if r.number == 0 { vec![7; 200_000] } else { content() }));
    let client = client_with(&second.host(), sources());
    assert_eq!(run(async move { client.small_blob(&descriptor(&content())).await }).unwrap(), content());
}
