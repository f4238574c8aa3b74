//! Fetching a blob: resumed where it broke off, never longer than announced, checked at its end.

use super::error::{Fault, host_of, shown};
use super::{Client, Retry};
use crate::image::digest::{Digest, Hasher};
use crate::image::manifest::Descriptor;
use crate::{Error, ErrorKind, Result};
use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use reqwest::{StatusCode, Url};
use std::time::Instant;

use super::transport::Answer;

/// So much in one attempt is progress: the count of attempts starts anew.
const PROGRESS: u64 = 1 << 20;

/// Yields the bytes of a blob, each once and in order.
pub(crate) struct BlobReader<'a> {
    client: &'a Client,
    digest: Digest,
    size: u64,
    /// Bytes given out.
    offset: u64,
    hasher: Hasher,
    retry: Retry,
    body: Option<Body>,
    /// Do not ask for a part: the server did not understand.
    whole: bool,
    mismatched: bool,
    done: bool,
}

/// An answer that is being read.
struct Body {
    answer: Answer,
    /// Bytes to pass over, for the server began from the start.
    skip: u64,
    /// Bytes given out since this answer began.
    given: u64,
    window: (Instant, u64),
}

impl<'a> BlobReader<'a> {
    pub(super) fn new(client: &'a Client, descriptor: &Descriptor) -> BlobReader<'a> {
        BlobReader {
            client,
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            offset: 0,
            hasher: Hasher::new(descriptor.digest.algorithm()),
            retry: Retry::new(&client.settings),
            body: None,
            whole: false,
            mismatched: false,
            done: false,
        }
    }

    /// Whether the last error was that the content has another digest: worth one more try from the start.
    pub(crate) fn mismatched(&self) -> bool {
        self.mismatched
    }

    /// The next bytes; `None`: the end, and size and digest are right. After an error there is nothing more.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.done {
                return Ok(None);
            }
            if self.offset == self.size {
                return self.check().map(|()| None);
            }
            match self.try_next().await {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => {
                    self.hasher.update(&bytes);
                    self.offset += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Err(fault) => {
                    self.body = None;
                    if let Err(e) = self.retry.pause(fault, self.client.has_answered()).await {
                        self.done = true;
                        return Err(e.with_context("digest", self.digest.as_str()));
                    }
                }
            }
        }
    }

    fn check(&mut self) -> Result<()> {
        self.done = true;
        self.body = None;
        let actual = std::mem::replace(&mut self.hasher, Hasher::new(self.digest.algorithm())).finish();
        if actual == self.digest {
            return Ok(());
        }
        self.mismatched = true;
        Err(Error::new(ErrorKind::Registry, format!("the registry sent content with the digest {actual}"))
            .with_context("digest", self.digest.as_str()))
    }

    async fn try_next(&mut self) -> Result<Bytes, Fault> {
        if self.body.is_none() {
            self.body = Some(self.open().await?);
        }
        let (offset, size) = (self.offset, self.size);
        let settings = &self.client.settings;
        let body = self.body.as_mut().expect("just set");
        let url = body.answer.url().clone();
        let Some(mut bytes) = body.answer.chunk().await? else {
            let message = format!("{} sent {offset} of {size} bytes", host_of(&url));
            return Err(Fault::Again(registry(message, &url), None));
        };
        let (since, count) = &mut body.window;
        *count += bytes.len() as u64;
        if since.elapsed() >= settings.stall {
            if *count < settings.least {
                return Err(Fault::stalled(&url, settings.stall));
            }
            body.window = (Instant::now(), 0);
        }
        let skipped = body.skip.min(bytes.len() as u64);
        body.skip -= skipped;
        bytes = bytes.slice(skipped as usize..);
        if bytes.len() as u64 > size - offset {
            let message = format!("{} sent more than the {size} bytes that were announced", host_of(&url));
            return Err(Fault::Final(registry(message, &url)));
        }
        let before = body.given;
        body.given += bytes.len() as u64;
        if before < PROGRESS && body.given >= PROGRESS {
            self.retry.reset();
        }
        Ok(bytes)
    }

    /// Asks for what is missing.
    async fn open(&mut self) -> Result<Body, Fault> {
        let mut headers = HeaderMap::new();
        let part = self.offset > 0 && !self.whole;
        if part {
            let range = format!("bytes={}-{}", self.offset, self.size - 1);
            headers.insert(RANGE, HeaderValue::from_str(&range).expect("digits"));
        }
        let answer = self.client.get(&format!("blobs/{}", self.digest), headers).await?;
        let url = answer.url().clone();
        let skip = match answer.status() {
            StatusCode::OK => self.offset,
            StatusCode::PARTIAL_CONTENT if part => {
                self.check_range(&answer)?;
                0
            }
            StatusCode::RANGE_NOT_SATISFIABLE if part => {
                self.whole = true;
                let message = format!("{} has no bytes from {} on", host_of(&url), self.offset);
                return Err(Fault::Again(registry(message, &url), None));
            }
            StatusCode::PARTIAL_CONTENT => {
                let message = format!("{} sent a part that nobody asked for", host_of(&url));
                return Err(Fault::Final(registry(message, &url)));
            }
            _ => {
                return Err(self
                    .client
                    .refusal(answer, &format!("the blob {}", self.digest), ErrorKind::Registry)
                    .await);
            }
        };
        let expected = self.size - self.offset + skip;
        if let Some(length) = answer.content_length()
            && length != expected
        {
            let message = format!("{} announces {length} bytes instead of {expected}", host_of(&url));
            return Err(Fault::Final(registry(message, &url)));
        }
        Ok(Body { answer, skip, given: 0, window: (Instant::now(), 0) })
    }

    /// A part must begin where the last one ended: anything else would be another file's middle.
    fn check_range(&self, answer: &Answer) -> Result<(), Fault> {
        let header = answer.headers().get(CONTENT_RANGE).and_then(|v| v.to_str().ok()).unwrap_or("");
        let right = || {
            let (range, total) = header.strip_prefix("bytes ")?.split_once('/')?;
            let (start, end) = range.split_once('-')?;
            let number = |text: &str| text.trim().parse::<u64>().ok();
            let whole = total.trim() == "*" || number(total) == Some(self.size);
            Some(number(start) == Some(self.offset) && number(end) == Some(self.size - 1) && whole)
        };
        if right() == Some(true) {
            return Ok(());
        }
        let shown = header.chars().filter(|c| !c.is_control()).take(80).collect::<String>();
        let message =
            format!("{} sent the part {shown:?} for bytes from {}", host_of(answer.url()), self.offset);
        Err(Fault::Final(registry(message, answer.url())))
    }
}

fn registry(message: String, url: &Url) -> Error {
    Error::new(ErrorKind::Registry, message).with_context("url", shown(url))
}
