//! Lists: tables, `--quiet`, `--format json`, `--format TEMPLATE`, `--format "table TEMPLATE"`.

use super::template::Template;
use crate::exit::Outcome;
use serde_json::{Map, Value};
use std::io::Write;

/// A column: field and heading.
#[derive(Clone, Copy)]
pub struct Column(pub &'static str, pub &'static str);

/// A list to print.
pub struct Rows<'a> {
    /// The default table's columns.
    pub columns: &'a [Column],
    /// The field that `--quiet` prints.
    pub quiet: &'static str,
    /// Fields of each row.
    pub rows: Vec<Map<String, Value>>,
}

impl Rows<'_> {
    /// Prints the list as `--format` and `--quiet` say.
    pub fn print(self, format: Option<&str>, quiet: bool) -> Outcome {
        let mut out = std::io::stdout().lock();
        match format {
            _ if quiet => {
                for row in &self.rows {
                    writeln!(out, "{}", text(row.get(self.quiet)))?;
                }
            }
            Some("json") => {
                for row in &self.rows {
                    writeln!(out, "{}", Value::Object(row.clone()))?;
                }
            }
            None | Some("" | "table") => out.write_all(self.table().as_bytes())?,
            Some(format) => match format.strip_prefix("table ") {
                Some(format) => out.write_all(self.template_table(format)?.as_bytes())?,
                None => {
                    let template = Template::parse(format)?;
                    for row in self.rows {
                        writeln!(out, "{}", template.render(&Value::Object(row))?)?;
                    }
                }
            },
        }
        Ok(0)
    }

    fn table(&self) -> String {
        let head = self.columns.iter().map(|c| c.1.to_string()).collect();
        let body = self.rows.iter().map(|row| self.columns.iter().map(|c| text(row.get(c.0))).collect());
        align(std::iter::once(head).chain(body).collect())
    }

    fn template_table(&self, format: &str) -> Result<String, crate::exit::Failure> {
        let template = Template::parse(&format.replace("\\t", "\t"))?;
        let mut headings: Map<String, Value> = Map::new();
        for key in self.rows.iter().flat_map(Map::keys) {
            headings.insert(key.clone(), Value::String(key.to_uppercase()));
        }
        for Column(field, heading) in self.columns {
            headings.insert((*field).into(), Value::String((*heading).into()));
        }
        let mut lines = vec![template.render(&Value::Object(headings))?];
        for row in &self.rows {
            lines.push(template.render(&Value::Object(row.clone()))?);
        }
        Ok(align(lines.iter().map(|l| l.split('\t').map(str::to_string).collect()).collect()))
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(s)) => s.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// Columns as wide as their widest cell, three spaces apart.
fn align(lines: Vec<Vec<String>>) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |i: usize| lines.iter().filter_map(|l| l.get(i)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let mut row = String::new();
        for (i, cell) in line.iter().enumerate() {
            row.push_str(cell);
            if i + 1 < line.len() {
                let gap = widths[i] + 3 - cell.chars().count();
                row.extend(std::iter::repeat_n(' ', gap));
            }
        }
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let lines = vec![vec!["A".into(), "B".into()], vec!["long".into(), "x".into()]];
        assert_eq!(align(lines), "A      B\nlong   x\n");
    }
}
