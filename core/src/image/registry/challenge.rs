//! `WWW-Authenticate`: what a registry wants to see.

use std::collections::BTreeMap;

/// One way to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Lower case: `basic`, `bearer`.
    pub(super) scheme: String,
    /// Names in lower case.
    pub(super) params: BTreeMap<String, String>,
}

/// Reads the value of one header; `None`: it is malformed or ambiguous.
pub(super) fn parse(header: &str) -> Option<Vec<Challenge>> {
    let mut input = Input(header);
    let mut all: Vec<Challenge> = Vec::new();
    loop {
        input.skip(" \t,");
        if input.0.is_empty() {
            return Some(all);
        }
        let word = input.token()?.to_ascii_lowercase();
        let spaced = input.skip(" \t");
        // `name=value` belongs to the scheme before it; a word alone starts a new one.
        if input.0.starts_with('=') && !all.is_empty() {
            input.0 = &input.0[1..];
            input.skip(" \t");
            let value = input.value()?;
            let scheme = all.last_mut()?;
            if scheme.params.insert(word, value).is_some() {
                return None;
            }
        } else if input.0.is_empty() || spaced || input.0.starts_with(',') {
            all.push(Challenge { scheme: word, params: BTreeMap::new() });
            input.skip_token68();
        } else {
            return None;
        }
    }
}

struct Input<'a>(&'a str);

impl<'a> Input<'a> {
    fn skip(&mut self, characters: &str) -> bool {
        let rest = self.0.trim_start_matches(|c| characters.contains(c));
        let skipped = rest.len() != self.0.len();
        self.0 = rest;
        skipped
    }

    fn token(&mut self) -> Option<&'a str> {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.0.find(|c| !token(c)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.0.strip_prefix('"') else {
            return self.token().map(str::to_owned);
        };
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    self.0 = &quoted[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                c if c.is_control() => return None,
                c => value.push(c),
            }
        }
        None
    }

    /// Passes over the base64 that some schemes have in place of parameters.
    fn skip_token68(&mut self) {
        let end = self.0.find([',', ' ', '\t']).unwrap_or(self.0.len());
        let word = &self.0[..end];
        let body = word.trim_end_matches('=');
        let token68 = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        if !body.is_empty()
            && body.chars().all(token68)
            && (end == self.0.len() || self.0[end..].starts_with(','))
        {
            self.0 = &self.0[end..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(header: &str) -> Option<String> {
        let one = |c: &Challenge| {
            let params: Vec<_> = c.params.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!("{}[{}]", c.scheme, params.join(" "))
        };
        Some(parse(header)?.iter().map(one).collect::<Vec<_>>().join(";"))
    }

    #[test]
    fn headers() {
        let cases = [
            ("Basic realm=\"a b\"", Some("basic[realm=a b]")),
            ("basic", Some("basic[]")),
            ("Basic", Some("basic[]")),
            (
                "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull,push\"",
                Some(
                    "bearer[realm=https://auth.docker.io/token scope=repository:a/b:pull,push service=registry.docker.io]",
                ),
            ),
            ("Bearer realm=x , SERVICE = \"y\"", Some("bearer[realm=x service=y]")),
            ("Bearer realm=\"x\", Basic realm=\"y\"", Some("bearer[realm=x];basic[realm=y]")),
            ("Negotiate, Basic realm=y", Some("negotiate[];basic[realm=y]")),
            ("Negotiate a87421000492aa874209af8bc028==, Basic realm=y", Some("negotiate[];basic[realm=y]")),
            ("Bearer realm=\"a\\\"b\\\\\"", Some("bearer[realm=a\"b\\]")),
            ("", Some("")),
            (" , ,", Some("")),
            ("Bearer realm=\"x", None),
            ("Bearer realm=\"x\\", None),
            // Also valid as the base64 of a scheme; either way there is no realm.
            ("Bearer realm=", Some("bearer[]")),
            ("Bearer realm=\"a\",realm=\"b\"", None),
            ("realm=\"a\"", None),
            ("\"", None),
            ("Bearer realm=\"a\u{1}\"", None),
            ("é", None),
        ];
        for (header, expected) in cases {
            assert_eq!(shown(header).as_deref(), expected, "{header}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_header_panics_or_loops(header in "\\PC{0,60}|(Bearer|Basic|realm|[ ,=\"\\\\a]){0,30}") {
            let _ = parse(&header);
        }
    }
}
