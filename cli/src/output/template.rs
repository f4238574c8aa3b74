//! The part of Go's templates that `--format` is used with: fields, `json`, `join`, `upper`, `lower`, `title`,
//! `len`, `index`, `println`, `if`/`else`, `range`, `with`, pipes, string and number literals, `-` trims.

mod eval;
mod parse;

use crate::exit::Failure;
use serde_json::Value;

/// A parsed template.
#[derive(Debug)]
pub struct Template(Vec<Node>);

#[derive(Debug)]
enum Node {
    Text(String),
    Print(Pipe),
    If(Pipe, Vec<Node>, Vec<Node>),
    Range(Pipe, Vec<Node>, Vec<Node>),
    With(Pipe, Vec<Node>, Vec<Node>),
}

/// Calls, each getting the value of the one before as its last argument.
type Pipe = Vec<Vec<Term>>;

#[derive(Clone, Debug)]
enum Term {
    Field(Vec<String>),
    Root(Vec<String>),
    Function(String),
    Literal(Value),
    Group(Pipe),
}

impl Template {
    /// Parses a template.
    pub fn parse(text: &str) -> Result<Template, Failure> {
        parse::parse(text)
            .map(Template)
            .map_err(|e| Failure { code: 64, message: format!("template parsing error: {e} in {text:?}") })
    }

    /// Fills the template from a document.
    pub fn render(&self, document: &Value) -> Result<String, Failure> {
        let mut out = String::new();
        eval::nodes(&self.0, document, document, &mut out)
            .map_err(|e| Failure::new(format!("template error: {e}")))?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(template: &str) -> String {
        let document = json!({
            "ID": "abc", "State": {"Running": true, "Pid": 7}, "List": ["a", "b"], "Empty": [],
            "Map": {"k": "v", "com.x/y": "z"}, "Null": null,
        });
        Template::parse(template).and_then(|t| t.render(&document)).unwrap_or_else(|e| e.message)
    }

    #[test]
    fn templates_are_gos() {
        for (template, expected) in [
            ("{{.ID}}-{{.State.Pid}}", "abc-7"),
            ("{{json .List}}", "[\"a\",\"b\"]"),
            ("{{.List | json}}", "[\"a\",\"b\"]"),
            ("{{.List}}", "[a b]"),
            ("{{.Map}}", "map[com.x/y:z k:v]"),
            ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
            ("{{if .Empty}}some{{else}}none{{end}}", "none"),
            ("{{range .List}}<{{.}}>{{end}}", "<a><b>"),
            (
                "{{range $i, $v := .List}}x{{end}}",
                "template parsing error: variables are not supported in \"{{range $i, $v := .List}}x{{end}}\"",
            ),
            ("{{with .State}}{{.Pid}}/{{$.ID}}{{end}}", "7/abc"),
            ("{{join .List \",\"}}", "a,b"),
            ("{{upper .ID}} {{len .List}} {{index .List 1}} {{index .Map \"com.x/y\"}}", "ABC 2 b z"),
            ("{{ .ID -}}  x", "abcx"),
            ("{{.Null}}", "<no value>"),
            ("{{.Nope}}", "<no value>"),
            ("{{printf \"%s!\" .ID}}", "abc!"),
            ("{{if eq .ID \"abc\"}}y{{end}}{{if not .Empty}}n{{end}}", "yn"),
        ] {
            assert_eq!(render(template), expected, "{template}");
        }
    }

    #[test]
    fn broken_templates_are_errors() {
        for bad in ["{{", "{{.A", "{{if .A}}", "{{end}}", "{{nosuch .A}}", "{{}}"] {
            assert!(Template::parse(bad).and_then(|t| t.render(&json!({}))).is_err(), "{bad}");
        }
    }
}
