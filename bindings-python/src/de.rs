//! Python arguments as core's options, through core's own deserialisers. What is wrong is said with the
//! argument it concerns: a wrong type or an unknown name is a TypeError, a value that can never work is
//! `invalid_argument`.

use crate::error::Failure;
use containers::{Error, ErrorKind};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PySequence, PyString, PyTuple,
};
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::fmt::{self, Display};

/// What is wrong, and where.
#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    text: String,
    /// Innermost first.
    path: Vec<String>,
}

#[derive(Debug)]
enum Kind {
    Type,
    Value,
    Unknown(String),
    Python(PyErr),
}

impl Problem {
    fn new(kind: Kind, text: impl Into<String>) -> Problem {
        Problem { kind, text: text.into(), path: Vec::new() }
    }

    fn at(mut self, step: impl Into<String>) -> Problem {
        self.path.push(step.into());
        self
    }

    fn into_failure(self, function: &str) -> Failure {
        let field = self.path.last().cloned().unwrap_or_default();
        let place: String = self.path.iter().rev().map(String::as_str).collect();
        match self.kind {
            Kind::Python(e) => Failure::Python(e),
            Kind::Unknown(name) if place.is_empty() => {
                let text = format!("{function}() got an unexpected keyword argument '{name}'");
                Failure::Python(PyTypeError::new_err(text))
            }
            Kind::Unknown(name) => {
                Failure::Python(PyTypeError::new_err(format!("{place}: unknown key '{name}'")))
            }
            Kind::Type => Failure::Python(PyTypeError::new_err(format!("{place}: {}", self.text))),
            Kind::Value => {
                let text = format!("{place}: {}", self.text);
                Failure::Core(Error::new(ErrorKind::InvalidArgument, text).with_context("field", field))
            }
        }
    }
}

impl From<PyErr> for Problem {
    fn from(e: PyErr) -> Problem {
        Problem::new(Kind::Python(e), "")
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Problem {}

impl serde::de::Error for Problem {
    fn custom<T: Display>(text: T) -> Problem {
        let text = text.to_string();
        // How serde says that no form of a union fits.
        let kind = if text.starts_with("expected ") || text.starts_with("data did not match") {
            Kind::Type
        } else {
            Kind::Value
        };
        Problem::new(kind, text)
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Problem {
        let found = match found {
            Unexpected::Other(name) => name.to_owned(),
            Unexpected::Bool(_) => "bool".into(),
            Unexpected::Signed(_) | Unexpected::Unsigned(_) => "int".into(),
            Unexpected::Float(_) => "float".into(),
            Unexpected::Str(_) => "str".into(),
            Unexpected::Bytes(_) => "bytes".into(),
            Unexpected::Unit | Unexpected::Option => "None".into(),
            Unexpected::Seq => "a list".into(),
            Unexpected::Map => "a dict".into(),
            other => other.to_string(),
        };
        let wanted = wanted.to_string();
        let wanted = match wanted.as_str() {
            "a boolean" => "bool",
            "a string" => "str",
            "a sequence" => "a list",
            "a map" => "a dict",
            "i64" | "u64" | "u32" | "u16" => "int",
            "f64" => "a number",
            other if other.starts_with("struct ") => "a dict",
            other => other,
        };
        Problem::new(Kind::Type, format!("expected {wanted}, not {found}"))
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Problem {
        let found = match found {
            Unexpected::Signed(n) => n.to_string(),
            Unexpected::Unsigned(n) => n.to_string(),
            Unexpected::Float(n) => n.to_string(),
            other => other.to_string(),
        };
        match wanted.to_string().as_str() {
            "u64" | "u32" | "u16" => Problem::new(Kind::Value, format!("{found} is out of range")),
            wanted => Problem::new(Kind::Value, format!("{found} is out of range: expected {wanted}")),
        }
    }

    fn invalid_length(len: usize, wanted: &dyn Expected) -> Problem {
        Problem::new(Kind::Type, format!("expected {wanted}, not {len} items"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Problem {
        Problem::new(Kind::Value, format!("'{variant}' is none of {}", expected.join(", ")))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Problem {
        Problem::new(Kind::Unknown(field.to_owned()), "")
    }

    fn missing_field(field: &'static str) -> Problem {
        Problem::new(Kind::Type, format!("'{field}' is missing"))
    }
}

/// Reads options from keyword arguments; None is as good as left out. `function` is what a TypeError names.
pub fn options<T: DeserializeOwned>(function: &str, given: &Bound<'_, PyDict>) -> Result<T, Failure> {
    let top = Pairs::new(given.as_any(), true)
        .and_then(|pairs| T::deserialize(serde::de::value::MapAccessDeserializer::new(pairs)));
    top.map_err(|problem| problem.into_failure(function))
}

struct Value<'a, 'py>(&'a Bound<'py, PyAny>);

fn text(value: &Bound<'_, PyString>) -> Result<String, Problem> {
    value.to_str().map(str::to_owned).map_err(|_| Problem::new(Kind::Value, "it is not valid Unicode text"))
}

impl<'de> Deserializer<'de> for Value<'_, '_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let value = self.0;
        if value.is_none() {
            visitor.visit_unit()
        } else if let Ok(s) = value.cast::<PyString>() {
            visitor.visit_string(text(s)?)
        } else if let Ok(b) = value.cast::<PyBool>() {
            visitor.visit_bool(b.is_true())
        } else if value.is_instance_of::<PyInt>() {
            number(value, visitor)
        } else if let Ok(f) = value.cast::<PyFloat>() {
            visitor.visit_f64(f.value())
        } else if value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>() {
            Err(Problem::invalid_type(Unexpected::Bytes(b""), &visitor))
        } else if value.is_instance_of::<PyDict>() || value.cast::<PyMapping>().is_ok() {
            visitor.visit_map(Pairs::new(value, false)?)
        } else if value.is_instance_of::<PyList>()
            || value.is_instance_of::<PyTuple>()
            || value.cast::<PySequence>().is_ok()
        {
            let items = value.try_iter()?.collect::<PyResult<Vec<_>>>()?;
            visitor.visit_seq(Items { items, next: 0 })
        } else if value.hasattr("__fspath__")? {
            let path = value.call_method0("__fspath__")?;
            match path.cast::<PyString>() {
                Ok(s) => visitor.visit_string(text(s)?),
                Err(_) => Err(Problem::new(Kind::Type, "expected str, not a path of bytes")),
            }
        } else if value.hasattr("__index__")? {
            number(&value.call_method0("__index__")?, visitor)
        } else {
            let name = value.get_type().qualname()?;
            Err(Problem::invalid_type(Unexpected::Other(&name.to_string()), &visitor))
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.0.is_none() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.0.cast::<PyString>() {
            Ok(s) => visitor.visit_enum(Word(text(s)?)),
            Err(_) => {
                let name = self.0.get_type().qualname()?;
                Err(Problem::new(Kind::Type, format!("expected str, not {name}")))
            }
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

fn number<'de, V: Visitor<'de>>(value: &Bound<'_, PyAny>, visitor: V) -> Result<V::Value, Problem> {
    if let Ok(n) = value.extract::<i64>() {
        visitor.visit_i64(n)
    } else if let Ok(n) = value.extract::<u64>() {
        visitor.visit_u64(n)
    } else {
        Err(Problem::new(Kind::Value, "the number is out of range"))
    }
}

/// A word out of a fixed set.
struct Word(String);

impl<'de> EnumAccess<'de> for Word {
    type Error = Problem;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Problem> {
        let word: StrDeserializer<'_, Problem> = self.0.as_str().into_deserializer();
        let value = seed.deserialize(word)?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Word {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Problem> {
        Err(Problem::new(Kind::Type, "expected more than a word"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Problem> {
        Err(Problem::new(Kind::Type, "expected more than a word"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Problem> {
        Err(Problem::new(Kind::Type, "expected more than a word"))
    }
}

struct Pairs<'py> {
    pairs: std::vec::IntoIter<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    value: Option<(String, Bound<'py, PyAny>)>,
    top: bool,
}

impl<'py> Pairs<'py> {
    fn new(mapping: &Bound<'py, PyAny>, top: bool) -> Result<Pairs<'py>, Problem> {
        let items = match mapping.cast::<PyDict>() {
            Ok(dict) => dict.iter().collect(),
            Err(_) => {
                let items = mapping.cast::<PyMapping>().map_err(PyErr::from)?.items()?;
                items.iter().map(|pair| pair.extract()).collect::<PyResult<Vec<_>>>()?
            }
        };
        let kept: Vec<_> = items.into_iter().filter(|(_, value)| !(top && value.is_none())).collect();
        Ok(Pairs { pairs: kept.into_iter(), value: None, top })
    }

    fn step(&self, key: &str) -> String {
        if self.top { key.to_owned() } else { format!("[{key:?}]") }
    }
}

impl<'de> MapAccess<'de> for Pairs<'_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        let Some((key, value)) = self.pairs.next() else { return Ok(None) };
        let shown = key.str()?.to_string();
        let parsed = seed.deserialize(Value(&key)).map_err(|e| match e.kind {
            Kind::Type => Problem { text: format!("{} as a key", e.text), ..e },
            _ => e,
        })?;
        self.value = Some((shown, value));
        Ok(Some(parsed))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let Some((key, value)) = self.value.take() else {
            return Err(Problem::custom("a value was asked for before its key"));
        };
        seed.deserialize(Value(&value)).map_err(|e| e.at(self.step(&key)))
    }
}

struct Items<'py> {
    items: Vec<Bound<'py, PyAny>>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(Value(item)).map(Some).map_err(|e| e.at(format!("[{index}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}
