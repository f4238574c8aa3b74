//! Values of D-Bus in GVariant's text form, as annotations `org.systemd.property.*` carry them: `'text'`, `true`,
//! `uint64 5`, `['a', 'b']`, `@as []`, `('a', 1)`, `<1>`.

use crate::cgroup::systemd::Variant;
use zbus::wire::StructureBuilder;
use zbus::{Array, ObjectPath, Signature};

/// How deep values may be nested.
const DEPTH: usize = 32;

/// A whole value.
pub(super) fn parse(text: &str) -> Result<Variant<'static>, String> {
    let mut parser = Parser { rest: text };
    let value = parser.value(None, 0)?;
    parser.space();
    match parser.rest {
        "" => Ok(value),
        rest => Err(format!("{rest:?} is left over")),
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> String {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn value(&mut self, kind: Option<&Signature>, depth: usize) -> Result<Variant<'static>, String> {
        if depth > DEPTH {
            return Err("it is nested too deeply".into());
        }
        self.space();
        match self.rest.chars().next() {
            None => Err("the value is missing".into()),
            Some('\'' | '"') => {
                let text = self.string()?;
                string(text, kind)
            }
            Some('[') => self.array(kind, depth),
            Some('(') => self.tuple(kind, depth),
            Some('<') => {
                self.take("<");
                let inner = self.value(None, depth + 1)?;
                self.expect(">")?;
                Ok(Variant::Variant(Box::new(inner)))
            }
            Some('@') => {
                self.take("@");
                let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                let kind = Signature::try_from(text).map_err(|_| format!("{text:?} is no type"))?;
                self.rest = rest;
                self.value(Some(&kind), depth + 1)
            }
            Some(_) => self.scalar(kind, depth),
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(format!("{token:?} is missing before {:?}", self.rest)) }
    }

    fn string(&mut self) -> Result<String, String> {
        let mut chars = self.rest.chars();
        let quote = chars.next();
        let mut text = String::new();
        loop {
            match chars.next() {
                None => return Err("a text does not end".into()),
                c if c == quote => break,
                Some('\\') => text.push(match chars.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some('u') => {
                        let digits: String = chars.by_ref().take(4).collect();
                        let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                        code.ok_or_else(|| format!("\\u{digits} is no character"))?
                    }
                    Some(c) => c,
                    None => return Err("a text does not end".into()),
                }),
                Some(c) => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Ok(text)
    }

    fn array(&mut self, kind: Option<&Signature>, depth: usize) -> Result<Variant<'static>, String> {
        let element = match kind {
            Some(Signature::Array(child)) => Some(child.signature().clone()),
            Some(other) => return Err(format!("an array is no {other}")),
            None => None,
        };
        self.take("[");
        let mut values: Vec<Variant<'static>> = Vec::new();
        while !self.take("]") {
            if !values.is_empty() {
                self.expect(",")?;
            }
            let first = values.first().map(|v| v.value_signature().clone());
            let wanted = element.clone().or(first);
            values.push(self.value(wanted.as_ref(), depth + 1)?);
        }
        let kind = element.or_else(|| values.first().map(|v| v.value_signature().clone()));
        let kind = kind.ok_or("an empty array needs its type: @as []")?;
        let mut array = Array::new(&kind);
        for value in values {
            array.append(value).map_err(|_| "the elements of an array have different types")?;
        }
        Ok(Variant::Array(array))
    }

    fn tuple(&mut self, kind: Option<&Signature>, depth: usize) -> Result<Variant<'static>, String> {
        let fields: Option<Vec<Signature>> = match kind {
            Some(Signature::Structure(fields)) => Some(fields.iter().cloned().collect()),
            Some(other) => return Err(format!("a tuple is no {other}")),
            None => None,
        };
        self.take("(");
        let mut builder = StructureBuilder::new();
        let mut n = 0;
        while !self.take(")") {
            if n > 0 {
                self.expect(",")?;
                if self.take(")") {
                    break;
                }
            }
            let wanted = match &fields {
                Some(fields) => Some(fields.get(n).ok_or("a tuple has too many fields")?),
                None => None,
            };
            builder.push_value(self.value(wanted, depth + 1)?);
            n += 1;
        }
        if fields.is_some_and(|f| f.len() != n) {
            return Err("a tuple has too few fields".into());
        }
        builder.build().map(Variant::Structure).map_err(|_| "a tuple needs fields".into())
    }

    fn scalar(&mut self, kind: Option<&Signature>, depth: usize) -> Result<Variant<'static>, String> {
        let word = self.word();
        let named = match word.as_str() {
            "" => return Err(format!("{:?} is no value", self.rest)),
            "true" | "false" if kind.is_none_or(|k| *k == Signature::Bool) => {
                return Ok(Variant::Bool(word == "true"));
            }
            "boolean" => Signature::Bool,
            "byte" => Signature::U8,
            "int16" => Signature::I16,
            "uint16" => Signature::U16,
            "int32" => Signature::I32,
            "uint32" => Signature::U32,
            "int64" => Signature::I64,
            "uint64" => Signature::U64,
            "double" => Signature::F64,
            "string" => Signature::Str,
            "objectpath" => Signature::ObjectPath,
            "signature" => Signature::Signature,
            number => return self::number(number, kind),
        };
        if kind.is_some_and(|k| *k != named) {
            return Err(format!("{word} where another type is wanted"));
        }
        self.value(Some(&named), depth + 1)
    }
}

fn string(text: String, kind: Option<&Signature>) -> Result<Variant<'static>, String> {
    match kind {
        None | Some(Signature::Str) => Ok(Variant::from(text)),
        Some(Signature::ObjectPath) => {
            let path = ObjectPath::try_from(text.clone());
            path.map(Variant::from).map_err(|_| format!("{text:?} is no object path"))
        }
        Some(Signature::Signature) => {
            let kind = Signature::try_from(text.as_str());
            kind.map(Variant::from).map_err(|_| format!("{text:?} is no type"))
        }
        Some(other) => Err(format!("{text:?} is no {other}")),
    }
}

fn number(word: &str, kind: Option<&Signature>) -> Result<Variant<'static>, String> {
    /// Decimal, or hexadecimal with `0x`.
    fn parse<T: TryFrom<i128>>(word: &str) -> Option<T> {
        let (sign, digits) = word.strip_prefix('-').map_or((1, word), |digits| (-1, digits));
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        let number = match digits.strip_prefix("0x") {
            Some(hex) => i128::from_str_radix(hex, 16).ok()?,
            None => digits.parse().ok()?,
        };
        T::try_from(sign * number).ok()
    }
    let is_double = word.contains(['.', 'e', 'E']) && !word.contains("0x") || matches!(word, "inf" | "nan");
    let default = if is_double { Signature::F64 } else { Signature::I32 };
    let kind = kind.unwrap_or(&default);
    let value = match kind {
        Signature::U8 => parse(word).map(Variant::U8),
        Signature::I16 => parse(word).map(Variant::I16),
        Signature::U16 => parse(word).map(Variant::U16),
        Signature::I32 => parse(word).map(Variant::I32),
        Signature::U32 => parse(word).map(Variant::U32),
        Signature::I64 => parse(word).map(Variant::I64),
        Signature::U64 => parse(word).map(Variant::U64),
        Signature::F64 => word.parse().ok().map(Variant::F64),
        _ => None,
    };
    value.ok_or_else(|| format!("{word:?} is no {kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> String {
        parse(text).unwrap().value_signature().to_string()
    }

    #[test]
    fn values_have_their_types() {
        for (text, wanted) in [
            ("'a'", "s"),
            ("\"it's\"", "s"),
            ("true", "b"),
            ("5", "i"),
            ("-5", "i"),
            ("1.5", "d"),
            ("uint64 18446744073709551615", "t"),
            ("uint32 0x10", "u"),
            ("byte 7", "y"),
            ("objectpath '/a/b'", "o"),
            ("['a', 'b']", "as"),
            ("@as []", "as"),
            ("[uint64 1, 2]", "at"),
            ("@at [1,2]", "at"),
            ("[('/dev/null', 'rw')]", "a(ss)"),
            ("@a(st) [('/dev/sda', 1000)]", "a(st)"),
            ("('a', 1, true)", "(sib)"),
            ("<1>", "v"),
        ] {
            assert_eq!(kind(text), wanted, "{text}");
        }
        assert_eq!(parse("uint64 5").unwrap(), Variant::U64(5));
        assert_eq!(parse(r#" 'a\'\n\u0041' "#).unwrap(), Variant::from("a'\nA"));
    }

    #[test]
    fn what_is_no_value_is_an_error() {
        for text in [
            "",
            "'a",
            "[1, 'a']",
            "[]",
            "(1",
            "1 2",
            "uint64 -1",
            "byte 256",
            "@a5 []",
            "hello",
            "int32 'a'",
            "@s 1",
            "[1 2]",
            "<",
            "@(ss) ('a',)",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse(&"[".repeat(10_000)).is_err());
    }
}
