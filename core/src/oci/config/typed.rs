//! From the document to the specification's types, with the place of what is wrong.
//!
//! The code that serde derives for those types is made once more for each deserializer that it meets, and is the
//! greater part of the reading. So there is one for all of them, which is no wrapper around another, and has no more
//! than a document needs: no struct from a list, no enumeration with content.

use super::document::{Node, Object, Place};
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, Expected, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;

/// Reads a type.
pub(super) fn read<'n, T: de::Deserialize<'n>>(document: &'n Node<'_>) -> Result<T, Failure> {
    T::deserialize(Value(document))
}

/// What is wrong, and where. Small, for it is part of all results.
#[derive(Debug)]
pub(super) struct Failure(Box<(Place, String)>);

impl Failure {
    pub(super) fn place(&self) -> &Place {
        &self.0.0
    }

    fn within(mut self, step: impl FnOnce(&mut Place)) -> Failure {
        step(&mut self.0.0);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.1)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(what: T) -> Failure {
        Failure(Box::new((Place::default(), what.to_string())))
    }
}

/// A value that is to be read.
#[derive(Clone, Copy)]
struct Value<'n, 't>(&'n Node<'t>);

impl Value<'_, '_> {
    /// The error for a value of another type than `expected`.
    #[cold]
    fn wrong(self, expected: &dyn Expected) -> Failure {
        let found = match self.0 {
            Node::Null => Unexpected::Other("null"),
            Node::Bool(value) => Unexpected::Bool(*value),
            Node::Unsigned(value) => Unexpected::Unsigned(*value),
            Node::Signed(value) => Unexpected::Signed(*value),
            Node::Float(value) => Unexpected::Float(*value),
            Node::Text(text) => Unexpected::Str(text),
            Node::List(_) => Unexpected::Seq,
            Node::Object(_) => Unexpected::Map,
        };
        de::Error::invalid_type(found, expected)
    }

    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0 {
            Node::Unsigned(value) => visitor.visit_u64(*value),
            Node::Signed(value) => visitor.visit_i64(*value),
            Node::Float(value) => visitor.visit_f64(*value),
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0 {
            Node::Text(text) => visitor.visit_str(text),
            _ => Err(self.wrong(&visitor)),
        }
    }
}

/// Methods of [`Deserializer`] that are all one.
macro_rules! all_as {
    ($one:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            self.$one(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Value<'de, '_> {
    type Error = Failure;

    all_as!(number: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64);
    all_as!(text: deserialize_str deserialize_string deserialize_identifier);

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0 {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Unsigned(_) | Node::Signed(_) | Node::Float(_) => self.number(visitor),
            Node::Text(_) => self.text(visitor),
            Node::List(_) => self.deserialize_seq(visitor),
            Node::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0 {
            Node::Bool(value) => visitor.visit_bool(*value),
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0 {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0 {
            Node::List(all) => visitor.visit_seq(Elements { rest: all.iter(), next: 0 }),
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0 {
            Node::Object(Object(all)) => visitor.visit_map(Members { rest: all.iter(), value: None }),
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match self.0 {
            Node::Text(text) => visitor.visit_enum(StrDeserializer::new(text)),
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct }
}

/// The rest of a list.
struct Elements<'n, 't> {
    rest: std::slice::Iter<'n, Node<'t>>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de, '_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        let Some(value) = self.rest.next() else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        let read = seed.deserialize(Value(value));
        read.map(Some).map_err(|e| e.within(|place| place.in_element(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The rest of an object, and the member whose key was read.
struct Members<'n, 't> {
    rest: std::slice::Iter<'n, (std::borrow::Cow<'t, str>, Node<'t>)>,
    value: Option<(&'n str, &'n Node<'t>)>,
}

impl<'de> MapAccess<'de> for Members<'de, '_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some((key, value));
        seed.deserialize(StrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Failure> {
        let Some((key, value)) = self.value.take() else {
            return Err(de::Error::custom("a value without key"));
        };
        seed.deserialize(Value(value)).map_err(|e| e.within(|place| place.in_key(key)))
    }
}
