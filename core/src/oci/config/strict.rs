//! JSON without ambiguity: one value, no key twice, no byte order mark, bounded depth, no NUL in a string.
//! A `null` counts as absent, as it does for the runtimes written in Go.

use super::document::{Node, Object, Place};
use crate::{Error, ErrorKind, Result};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// Parses a document.
pub(super) fn parse(text: &[u8]) -> Result<Node<'_>> {
    if text.starts_with(b"\xef\xbb\xbf") {
        return Err(Error::new(ErrorKind::InvalidArgument, "the JSON text begins with a byte order mark")
            .with_context("offset", "0"));
    }
    let mut place = Place::default();
    let mut parser = serde_json::Deserializer::from_slice(text);
    let parsed = Strict(&mut place).deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    parsed.map_err(|e| {
        let offset = offset_of(text, e.line(), e.column());
        Error::new(ErrorKind::InvalidArgument, format!("the JSON text is not valid: {e}"))
            .with_context("field", place.to_string())
            .with_context("offset", offset.to_string())
    })
}

/// The byte at a line and column, both counted from 1.
fn offset_of(text: &[u8], line: usize, column: usize) -> usize {
    let before = |n: usize| text.split_inclusive(|b| *b == b'\n').take(n).map(<[u8]>::len).sum::<usize>();
    (before(line.saturating_sub(1)) + column.saturating_sub(1)).min(text.len())
}

/// One value; of one that is wrong, the place is noted.
struct Strict<'a>(&'a mut Place);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node<'de>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Node::Float(value))
    }

    /// Text as it stands there, where a NUL would be a syntax error.
    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    /// Text that had escapes.
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node<'de>, E> {
        if value.contains('\0') {
            return Err(E::custom("a string contains a NUL character"));
        }
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node<'de>, A::Error> {
        let mut all = Vec::new();
        loop {
            match seq.next_element_seed(Strict(self.0)) {
                Ok(Some(value)) => all.push(value),
                Ok(None) => return Ok(Node::List(all)),
                Err(e) => {
                    self.0.in_element(all.len());
                    return Err(e);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'de>, A::Error> {
        let mut all = Vec::new();
        let mut names = Names::default();
        while let Some(key) = map.next_key_seed(Key)? {
            let value = match names.problem(&key, &all) {
                None => map.next_value_seed(Strict(self.0)),
                Some(problem) => Err(de::Error::custom(problem)),
            };
            match value {
                Ok(value) => all.push((key, value)),
                Err(e) => {
                    self.0.in_key(&key);
                    return Err(e);
                }
            }
        }
        all.retain(|(_, value)| !matches!(value, Node::Null));
        Ok(Node::Object(Object(all)))
    }
}

/// A key of an object.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Cow<'de, str>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

/// The names of an object's members. A few are looked through, which is what every object of a configuration has; of
/// many, as only a hostile text or a long list of annotations has, there is a set beside.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    const FEW: usize = 32;

    /// What is wrong with one more name beside those of `members`.
    fn problem(&mut self, key: &str, members: &[(Cow<'_, str>, Node<'_>)]) -> Option<&'static str> {
        if key.contains('\0') {
            return Some("a key contains a NUL character");
        }
        let is_twice = if members.len() < Self::FEW {
            members.iter().any(|(k, _)| k == key)
        } else {
            if self.0.is_empty() {
                self.0.extend(members.iter().map(|(k, _)| k.to_string()));
            }
            !self.0.insert(key.to_owned())
        };
        is_twice.then_some("the key is there twice")
    }
}
