//! Content digests, parsed once: whatever names a file or a URL goes through [`Digest`].

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::fmt;
use std::str::FromStr;

/// The hash functions that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    /// Its name in a digest.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    const fn hex_len(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        }
    }
}

/// `algorithm:hex`, with a known algorithm, the right length and lower-case digits: safe as a path element.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Digest {
    algorithm: Algorithm,
    text: Box<str>,
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct DigestError {
    reason: String,
}

impl Digest {
    /// Reads `sha256:…` or `sha512:…`.
    pub(crate) fn parse(text: &str) -> Result<Digest, DigestError> {
        let fail = |reason: String| Err(DigestError { reason });
        let Some((name, hex)) = text.split_once(':') else {
            return fail(format!("{} is no digest: it lacks `algorithm:`", quoted(text)));
        };
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return fail(format!("digest algorithm {} is neither sha256 nor sha512", quoted(name))),
        };
        if hex.len() != algorithm.hex_len() {
            let (want, have) = (algorithm.hex_len(), hex.len());
            return fail(format!("a {name} digest has {want} hexadecimal digits, not {have}"));
        }
        if !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return fail(format!("digest {} has other than lower-case hexadecimal digits", quoted(text)));
        }
        Ok(Digest { algorithm, text: text.into() })
    }

    /// The SHA-256 digest of `data`.
    pub(crate) fn of(data: &[u8]) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(data);
        hasher.finish()
    }

    /// A SHA-256 digest from its 64 digits.
    pub(crate) fn from_sha256_hex(hex: &str) -> Result<Digest, DigestError> {
        Digest::parse(&format!("sha256:{hex}"))
    }

    /// `algorithm:hex`.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The hash function.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The digits alone.
    pub(crate) fn hex(&self) -> &str {
        &self.text[self.algorithm.name().len() + 1..]
    }

    /// Whether `data` has this digest.
    pub(crate) fn matches(&self, data: &[u8]) -> bool {
        let mut hasher = Hasher::new(self.algorithm);
        hasher.update(data);
        hasher.finish() == *self
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Digest, DigestError> {
        Digest::parse(text)
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Digest, DigestError> {
        Digest::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.text.into()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Computes a digest piece by piece.
#[derive(Clone)]
pub(crate) struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(Box<sha2::Sha512>),
}

impl Hasher {
    /// Nothing hashed yet.
    pub(crate) fn new(algorithm: Algorithm) -> Hasher {
        Hasher(match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Box::default()),
        })
    }

    /// Adds `data`.
    pub(crate) fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            State::Sha256(h) => h.update(data),
            State::Sha512(h) => h.update(data),
        }
    }

    /// The digest of everything added.
    pub(crate) fn finish(self) -> Digest {
        let (algorithm, sum) = match self.0 {
            State::Sha256(h) => (Algorithm::Sha256, h.finalize().to_vec()),
            State::Sha512(h) => (Algorithm::Sha512, h.finalize().to_vec()),
        };
        Digest { algorithm, text: format!("{}:{}", algorithm.name(), to_hex(&sum)).into() }
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Foreign text for a message: escaped and bounded.
pub(crate) fn quoted(text: &str) -> String {
    const MAX: usize = 200;
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Foreign text for a context value: bounded.
pub(crate) fn bounded(text: &str) -> String {
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn good_digests_keep_their_text() {
        let digest = Digest::parse(EMPTY).unwrap();
        assert_eq!(digest.as_str(), EMPTY);
        assert_eq!(digest.algorithm(), Algorithm::Sha256);
        assert_eq!(digest.hex(), &EMPTY[7..]);
        assert_eq!(digest, Digest::of(b""));
        assert!(digest.matches(b"") && !digest.matches(b"x"));
        let long = format!("sha512:{}", "0a".repeat(64));
        assert_eq!(Digest::parse(&long).unwrap().hex().len(), 128);
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(b"ab");
        hasher.update(b"c");
        let abc = hasher.finish();
        assert!(abc.hex().starts_with("ddaf35a193617aba") && abc.matches(b"abc"));
    }

    #[test]
    fn everything_else_is_refused() {
        let hex = "a".repeat(64);
        let cases = [
            String::new(),
            "sha256".into(),
            "sha256:".into(),
            format!("sha256:{}", &hex[1..]),
            format!("sha256:{hex}a"),
            format!("sha256:{}", hex.to_uppercase()),
            format!("SHA256:{hex}"),
            format!("sha512:{hex}"),
            format!("sha1:{}", "a".repeat(40)),
            format!("md5:{}", "a".repeat(32)),
            format!("sha256+b64:{hex}"),
            hex.clone(),
            format!("sha256:../../../../{}", &hex[12..]),
            format!("sha256:{}/..", &hex[3..]),
            format!("sha256:{}\0", &hex[1..]),
            format!("sha256:{}é", &hex[2..]),
            format!(" sha256:{hex}"),
            format!("sha256:{hex}\n"),
        ];
        for case in cases {
            assert!(Digest::parse(&case).is_err(), "{case:?}");
        }
    }

    #[test]
    fn messages_are_bounded() {
        let e = Digest::parse(&"é".repeat(100_000)).unwrap_err();
        assert!(e.to_string().len() < 1000);
    }
}
