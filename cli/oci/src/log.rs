//! Messages, in the shapes that engines read.

use crate::commands::Failure;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

/// Where messages go.
#[derive(Clone)]
pub struct Log {
    file: Option<Arc<File>>,
    json: bool,
}

impl Log {
    /// Opens the file, if there is one.
    pub fn open(path: Option<&Path>, json: bool) -> Result<Log, String> {
        let open = |path: &Path| {
            let opened = File::options().append(true).create(true).open(path);
            opened.map_err(|e| format!("can't open the log file {}: {e}", path.display()))
        };
        Ok(Log { file: path.map(open).transpose()?.map(Arc::new), json })
    }

    /// Writes why the program fails; to standard error as well.
    pub fn failure(&self, failure: &Failure) {
        if self.file.is_some() || failure.short.is_none() {
            self.write("error", &failure.message);
        }
        if self.file.is_some() || failure.short.is_some() {
            // Nobody may be there to read it.
            let told = failure.short.as_ref().unwrap_or(&failure.message).clone() + "\n";
            let _ = std::io::stderr().write_all(told.as_bytes());
        }
    }

    /// Writes a warning.
    pub fn warning(&self, text: &str) {
        self.write("warning", text);
    }

    /// Writes of a step.
    pub fn debug(&self, text: &str) {
        self.write("debug", text);
    }

    fn write(&self, level: &str, text: &str) {
        let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let line = if self.json {
            serde_json::json!({"level": level, "msg": text, "time": time}).to_string()
        } else if self.file.is_none() && std::io::stderr().is_terminal() {
            let short = match level {
                "error" => "ERRO",
                "warning" => "WARN",
                _ => "DEBU",
            };
            format!("{short}[0000] {text}")
        } else {
            format!("time={time:?} level={level} msg={text:?}")
        };
        // In one write, and there is nowhere to say that it is lost.
        let line = line + "\n";
        let _ = match self.file.as_ref() {
            Some(file) => (&mut &**file).write_all(line.as_bytes()),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }
}
