//! A JSON document as it was read, with its text where that needs no copy, and where in it something is.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Longer paths are cut in errors.
const MAX_PATH: usize = 256;

/// A value.
#[derive(Debug)]
pub(super) enum Node<'t> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'t, str>),
    List(Vec<Node<'t>>),
    Object(Object<'t>),
}

impl<'t> Node<'t> {
    pub(super) fn text(&self) -> Option<&str> {
        if let Node::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn list(&mut self) -> Option<&mut Vec<Node<'t>>> {
        if let Node::List(all) = self { Some(all) } else { None }
    }

    pub(super) fn object(&mut self) -> Option<&mut Object<'t>> {
        if let Node::Object(all) = self { Some(all) } else { None }
    }

    /// The member of an object.
    pub(super) fn member(&mut self, key: &str) -> Option<&mut Node<'t>> {
        self.object()?.get(key)
    }
}

/// Members in the order of the text: no key twice, and no null, which counts as absent.
#[derive(Debug, Default)]
pub(super) struct Object<'t>(pub(super) Vec<(Cow<'t, str>, Node<'t>)>);

impl<'t> Object<'t> {
    pub(super) fn get(&mut self, key: &str) -> Option<&mut Node<'t>> {
        self.0.iter_mut().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// The member, which is made if it is not there.
    pub(super) fn get_or(&mut self, key: &'static str, default: Node<'t>) -> &mut Node<'t> {
        let at = self.0.iter().position(|(k, _)| k == key).unwrap_or_else(|| {
            self.0.push((Cow::Borrowed(key), default));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}

/// The place of an error, innermost step first: it is put together on the way out of the document, so that a good one
/// costs nothing.
#[derive(Debug, Default)]
pub(super) struct Place(Vec<Step>);

#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

impl Place {
    /// What is wrong is in the member of that name.
    pub(super) fn in_key(&mut self, key: &str) {
        self.0.push(Step::Key(key.to_owned()));
    }

    /// What is wrong is in that element.
    pub(super) fn in_element(&mut self, index: usize) {
        self.0.push(Step::Index(index));
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for step in self.0.iter().rev() {
            match step {
                Step::Key(key) if text.is_empty() => text.push_str(key),
                Step::Key(key) => write!(text, ".{key}")?,
                Step::Index(index) => write!(text, "[{index}]")?,
            }
            if text.len() > MAX_PATH {
                let cut = (0..=MAX_PATH).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
                return write!(f, "{}…", &text[..cut]);
            }
        }
        f.write_str(if text.is_empty() { "(document)" } else { &text })
    }
}
