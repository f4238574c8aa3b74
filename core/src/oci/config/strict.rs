//! JSON without ambiguity: one value, no key twice, no byte order mark, bounded depth, no NUL in a string.
//! A `null` counts as absent, as it does for the runtimes written in Go.

use crate::{Error, ErrorKind, Result};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::fmt::{self, Write};

/// Longer paths are cut in errors.
const MAX_PATH: usize = 256;

/// Where in the document the parser is.
#[derive(Default)]
struct Path(RefCell<Vec<Segment>>);

enum Segment {
    Key(String),
    Index(usize),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for segment in self.0.borrow().iter() {
            match segment {
                Segment::Key(key) if text.is_empty() => text.push_str(key),
                Segment::Key(key) => write!(text, ".{key}")?,
                Segment::Index(index) => write!(text, "[{index}]")?,
            }
            if text.len() > MAX_PATH {
                let cut = (0..=MAX_PATH).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
                return write!(f, "{}…", &text[..cut]);
            }
        }
        f.write_str(if text.is_empty() { "(document)" } else { &text })
    }
}

/// Parses a document.
pub(super) fn parse(text: &[u8]) -> Result<Value> {
    if text.starts_with(b"\xef\xbb\xbf") {
        return Err(Error::new(ErrorKind::InvalidArgument, "the JSON text begins with a byte order mark")
            .with_context("offset", "0"));
    }
    let path = Path::default();
    let mut parser = serde_json::Deserializer::from_slice(text);
    let parsed = Strict(&path).deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    parsed.map_err(|e| {
        let offset = offset_of(text, e.line(), e.column());
        Error::new(ErrorKind::InvalidArgument, format!("the JSON text is not valid: {e}"))
            .with_context("field", path.to_string())
            .with_context("offset", offset.to_string())
    })
}

/// The byte at a line and column, both counted from 1.
fn offset_of(text: &[u8], line: usize, column: usize) -> usize {
    let before = |n: usize| text.split_inclusive(|b| *b == b'\n').take(n).map(<[u8]>::len).sum::<usize>();
    (before(line.saturating_sub(1)) + column.saturating_sub(1)).min(text.len())
}

/// One value.
struct Strict<'a>(&'a Path);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        if value.contains('\0') {
            return Err(E::custom("a string contains a NUL character"));
        }
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        loop {
            self.0.0.borrow_mut().push(Segment::Index(all.len()));
            let Some(value) = seq.next_element_seed(Strict(self.0))? else { break };
            self.0.0.borrow_mut().pop();
            all.push(value);
        }
        self.0.0.borrow_mut().pop();
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        let mut nulls = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            self.0.0.borrow_mut().push(Segment::Key(key.clone()));
            if key.contains('\0') {
                return Err(de::Error::custom("a key contains a NUL character"));
            }
            if all.contains_key(&key) || nulls.contains(&key) {
                return Err(de::Error::custom("the key is there twice"));
            }
            match map.next_value_seed(Strict(self.0))? {
                Value::Null => nulls.push(key),
                value => drop(all.insert(key, value)),
            }
            self.0.0.borrow_mut().pop();
        }
        Ok(Value::Object(all))
    }
}
