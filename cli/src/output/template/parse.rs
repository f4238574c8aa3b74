//! From text to nodes.

use super::{Node, Pipe, Term};
use serde_json::Value;

/// Parses a whole template.
pub fn parse(text: &str) -> Result<Vec<Node>, String> {
    let mut tokens = tokens(text)?.into_iter();
    let (nodes, end) = block(&mut tokens, 0)?;
    match end {
        End::Text => Ok(nodes),
        End::Else | End::Closed => Err("unexpected {{end}} or {{else}}".into()),
    }
}

enum Token {
    Text(String),
    Action(String),
}

#[derive(PartialEq)]
enum End {
    Text,
    Else,
    Closed,
}

/// Splits text from actions, and trims where an action has `-` at its edge.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut trim = false;
    while let Some(open) = rest.find("{{") {
        let close = rest[open..].find("}}").ok_or("an action is not closed")? + open;
        let mut before = &rest[..open];
        let mut action = &rest[open + 2..close];
        if trim {
            before = before.trim_start();
        }
        if let Some(a) = action.strip_prefix("- ") {
            action = a;
            before = before.trim_end();
        }
        trim = action.ends_with(" -");
        if trim {
            action = &action[..action.len() - 2];
        }
        found.push(Token::Text(before.to_string()));
        found.push(Token::Action(action.trim().to_string()));
        rest = &rest[close + 2..];
    }
    found.push(Token::Text(if trim { rest.trim_start() } else { rest }.to_string()));
    Ok(found)
}

fn block(tokens: &mut std::vec::IntoIter<Token>, depth: usize) -> Result<(Vec<Node>, End), String> {
    if depth > 32 {
        return Err("actions are nested too deeply".into());
    }
    let mut nodes = Vec::new();
    while let Some(token) = tokens.next() {
        let action = match token {
            Token::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Token::Action(action) => action,
        };
        let (word, rest) = action.split_once(char::is_whitespace).unwrap_or((&action, ""));
        match word {
            "end" => return Ok((nodes, End::Closed)),
            "else" => return Ok((nodes, End::Else)),
            "if" | "range" | "with" => {
                let pipe = pipe(rest)?;
                let (yes, end) = block(tokens, depth + 1)?;
                let (no, end) = match end {
                    End::Else => block(tokens, depth + 1)?,
                    end => (Vec::new(), end),
                };
                if end != End::Closed {
                    return Err(format!("{word} is not ended"));
                }
                nodes.push(match word {
                    "if" => Node::If(pipe, yes, no),
                    "range" => Node::Range(pipe, yes, no),
                    _ => Node::With(pipe, yes, no),
                });
            }
            _ => nodes.push(Node::Print(pipe(&action)?)),
        }
    }
    Ok((nodes, End::Text))
}

fn pipe(text: &str) -> Result<Pipe, String> {
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    let pipe = calls(&chars, &mut at, 0)?;
    if at < chars.len() {
        return Err("unexpected )".into());
    }
    Ok(pipe)
}

fn calls(chars: &[char], at: &mut usize, depth: usize) -> Result<Pipe, String> {
    let mut calls = vec![Vec::new()];
    while *at < chars.len() && chars[*at] != ')' {
        match chars[*at] {
            c if c.is_whitespace() => *at += 1,
            '|' => {
                *at += 1;
                calls.push(Vec::new());
            }
            '(' if depth < 32 => {
                *at += 1;
                let inner = self::calls(chars, at, depth + 1)?;
                if chars.get(*at) != Some(&')') {
                    return Err("( is not closed".into());
                }
                *at += 1;
                calls.last_mut().expect("never empty").push(Term::Group(inner));
            }
            quote @ ('"' | '`') => {
                let text = string(chars, at, quote)?;
                calls.last_mut().expect("never empty").push(Term::Literal(Value::String(text)));
            }
            _ => {
                let start = *at;
                while *at < chars.len() && !chars[*at].is_whitespace() && !"|()\"`".contains(chars[*at]) {
                    *at += 1;
                }
                if start == *at {
                    return Err(format!("unexpected {}", chars[start]));
                }
                calls.last_mut().expect("never empty").push(term(&chars[start..*at])?);
            }
        }
    }
    match calls.iter().any(Vec::is_empty) {
        true => Err("a command is missing".into()),
        false => Ok(calls),
    }
}

fn string(chars: &[char], at: &mut usize, quote: char) -> Result<String, String> {
    let mut text = String::new();
    *at += 1;
    while let Some(&c) = chars.get(*at) {
        *at += 1;
        match c {
            c if c == quote => return Ok(text),
            '\\' if quote == '"' => {
                let escaped = *chars.get(*at).ok_or("a string is not closed")?;
                *at += 1;
                text.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                });
            }
            c => text.push(c),
        }
    }
    Err("a string is not closed".into())
}

fn term(chars: &[char]) -> Result<Term, String> {
    let word: String = chars.iter().collect();
    let names = |path: &str| path.split('.').filter(|n| !n.is_empty()).map(str::to_string).collect();
    if let Some(path) = word.strip_prefix('.') {
        return Ok(Term::Field(names(path)));
    }
    if word == "$" || word.starts_with("$.") {
        return Ok(Term::Root(names(&word[1..])));
    }
    if word.starts_with('$') || word == ":=" {
        return Err("variables are not supported".into());
    }
    if let Ok(number) = word.parse::<i64>() {
        return Ok(Term::Literal(number.into()));
    }
    Ok(match word.as_str() {
        "true" => Term::Literal(true.into()),
        "false" => Term::Literal(false.into()),
        "nil" => Term::Literal(Value::Null),
        _ => Term::Function(word),
    })
}
