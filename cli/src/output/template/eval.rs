//! From nodes and a document to text.

use super::{Node, Pipe, Term};
use serde_json::Value;

/// Renders nodes with `dot` as the current value.
pub fn nodes(nodes: &[Node], root: &Value, dot: &Value, out: &mut String) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Print(pipe) => out.push_str(&show(&value(pipe, root, dot)?, true)),
            Node::If(pipe, yes, no) => {
                let branch = if truth(&value(pipe, root, dot)?) { yes } else { no };
                self::nodes(branch, root, dot, out)?;
            }
            Node::With(pipe, yes, no) => match value(pipe, root, dot)? {
                v if truth(&v) => self::nodes(yes, root, &v, out)?,
                _ => self::nodes(no, root, dot, out)?,
            },
            Node::Range(pipe, body, no) => match value(pipe, root, dot)? {
                Value::Array(items) if !items.is_empty() => {
                    for item in &items {
                        self::nodes(body, root, item, out)?;
                    }
                }
                Value::Object(map) if !map.is_empty() => {
                    for item in map.values() {
                        self::nodes(body, root, item, out)?;
                    }
                }
                _ => self::nodes(no, root, dot, out)?,
            },
        }
    }
    Ok(())
}

fn value(pipe: &Pipe, root: &Value, dot: &Value) -> Result<Value, String> {
    let mut last = None;
    for call in pipe {
        let mut args = Vec::new();
        for term in &call[1..] {
            args.push(self::term(term, root, dot)?);
        }
        args.extend(last.take());
        last = Some(match &call[0] {
            Term::Function(name) => function(name, &args)?,
            first if args.is_empty() => term(first, root, dot)?,
            _ => return Err("only functions take arguments".into()),
        });
    }
    last.ok_or_else(|| "an action is empty".into())
}

fn term(term: &Term, root: &Value, dot: &Value) -> Result<Value, String> {
    match term {
        Term::Field(path) => Ok(walk(dot, path)),
        Term::Root(path) => Ok(walk(root, path)),
        Term::Literal(value) => Ok(value.clone()),
        Term::Group(pipe) => value(pipe, root, dot),
        Term::Function(name) => function(name, &[]),
    }
}

fn walk(from: &Value, path: &[String]) -> Value {
    path.iter().try_fold(from, |v, name| v.get(name)).cloned().unwrap_or(Value::Null)
}

fn function(name: &str, args: &[Value]) -> Result<Value, String> {
    let text = |i: usize| args.get(i).map(|v| show(v, false)).unwrap_or_default();
    Ok(match (name, args) {
        ("json", [v]) => v.to_string().into(),
        ("upper", [_]) => text(0).to_uppercase().into(),
        ("lower", [_]) => text(0).to_lowercase().into(),
        ("title", [_]) => {
            let s = text(0);
            let mut chars = s.chars();
            chars.next().map(|c| c.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default().into()
        }
        ("join", [Value::Array(items), _]) => {
            let items: Vec<String> = items.iter().map(|v| show(v, false)).collect();
            items.join(&text(1)).into()
        }
        ("split", [_, _]) => Value::Array(text(0).split(&text(1)).map(Value::from).collect()),
        ("len", [Value::Array(v)]) => v.len().into(),
        ("len", [Value::Object(v)]) => v.len().into(),
        ("len", [Value::String(v)]) => v.len().into(),
        ("index", [v, keys @ ..]) => keys.iter().fold(v.clone(), |v, key| {
            let found = match key {
                Value::String(key) => v.get(key),
                key => key.as_u64().and_then(|i| v.get(i as usize)),
            };
            found.cloned().unwrap_or(Value::Null)
        }),
        ("eq", [a, rest @ ..]) if !rest.is_empty() => rest.contains(a).into(),
        ("ne", [a, b]) => (a != b).into(),
        ("not", [v]) => (!truth(v)).into(),
        ("and", [.., last]) => args.iter().find(|v| !truth(v)).unwrap_or(last).clone(),
        ("or", [.., last]) => args.iter().find(|v| truth(v)).unwrap_or(last).clone(),
        ("println", _) => (0..args.len()).map(text).collect::<Vec<_>>().join(" ").add_line(),
        ("print", _) => (0..args.len()).map(text).collect::<String>().into(),
        ("printf", [Value::String(format), rest @ ..]) => printf(format, rest).into(),
        _ => return Err(format!("unknown function {name}, or wrong arguments for it")),
    })
}

trait AddLine {
    fn add_line(self) -> Value;
}

impl AddLine for String {
    fn add_line(mut self) -> Value {
        self.push('\n');
        self.into()
    }
}

/// `%s`, `%d`, `%v`, `%q` and `%%`, without widths.
fn printf(format: &str, args: &[Value]) -> String {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match (c, c == '%') {
            (_, false) => out.push(c),
            _ => match chars.next() {
                Some('%') => out.push('%'),
                Some('q') => {
                    out.push_str(&format!("{:?}", args.next().map(|v| show(v, false)).unwrap_or_default()));
                }
                Some(_) => out.push_str(&args.next().map(|v| show(v, false)).unwrap_or_default()),
                None => out.push('%'),
            },
        }
    }
    out
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Object(o) => !o.is_empty(),
    }
}

/// A value as Go's `fmt` prints it.
fn show(value: &Value, top: bool) -> String {
    match value {
        Value::Null if top => "<no value>".into(),
        Value::Null => "<nil>".into(),
        Value::String(s) => s.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|v| show(v, false)).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let mut items: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{}", show(v, false))).collect();
            items.sort();
            format!("map[{}]", items.join(" "))
        }
        other => other.to_string(),
    }
}
