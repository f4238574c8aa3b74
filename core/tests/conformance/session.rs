//! One runtime on which many cases are replayed, and what cases need besides.

use crate::compare::compare;
use crate::replay::Replay;
use containers::Runtime;
use containers::blocking::block_on;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that goes with its value.
pub struct TempDir(pub PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("conformance-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir(&path).expect("the temp folder is writable");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("the folder is ours");
        TempDir(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The registry's address: `REGISTRY`, else that of one that this process starts and that ends with it; `None`
/// when its tools are missing.
pub fn registry() -> Option<&'static str> {
    static ADDRESS: OnceLock<Option<String>> = OnceLock::new();
    ADDRESS.get_or_init(|| std::env::var("REGISTRY").ok().or_else(start_registry)).as_deref()
}

fn start_registry() -> Option<String> {
    let installed = |tool: &str| Path::new("/usr/bin").join(tool).exists();
    if !["docker-registry", "skopeo", "umoci"].into_iter().all(installed) {
        return None;
    }
    // It ends when its input does, at the latest with this process.
    let mut child = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/registry/start.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let lines: Vec<String> = BufReader::new(child.stdout.take()?)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| line != "ready")
        .collect();
    std::mem::forget(child.stdin.take());
    lines.iter().find_map(|line| line.strip_prefix("registry=")).map(str::to_owned)
}

/// One runtime for many cases.
pub struct Session {
    runtime: Runtime,
    root: TempDir,
}

impl Session {
    pub fn open() -> Session {
        let root = TempDir::new();
        let runtime = open(&root.0);
        Session { runtime, root }
    }

    pub fn close(self) {
        block_on(self.runtime.close()).expect("the runtime closes");
        let _ = &self.root;
    }

    pub fn reason_to_skip(&self, case: &Value) -> Option<String> {
        if let Some(why) = case["not"]["rust"].as_str() {
            return Some(why.to_owned());
        }
        let needs = case["requires"].as_array().cloned().unwrap_or_default();
        let missing = needs.iter().filter_map(Value::as_str).find(|need| !self.has(need))?;
        Some(format!("this machine lacks {missing}"))
    }

    fn has(&self, need: &str) -> bool {
        let info = self.runtime.info().expect("info works");
        let exists = |p: &str| Path::new(p).exists();
        if let Some(controller) = need.strip_prefix("cgroup-") {
            return info.cgroup_controllers.iter().any(|c| c == controller)
                || (controller == "freezer" && info.cgroup_version == "v2");
        }
        match need {
            "root" => !info.rootless,
            "overlay-images" => info.driver == "overlay",
            "registry" => registry().is_some(),
            "busybox" => exists("/bin/busybox"),
            "perl" => exists("/usr/bin/perl"),
            // The warning about a single id says what is missing.
            "ids" => !info.warnings.iter().any(|w| w.contains("only one user id")),
            _ => panic!("the table requires the unknown {need}"),
        }
    }

    /// Replays a case; the error says at which step what differed.
    pub fn replay(&self, case: &Value) -> Result<(), String> {
        let tmp = TempDir::new();
        let own_root;
        let (runtime, root) = if case["own_runtime"] == true {
            own_root = TempDir::new();
            (open(&own_root.0), own_root.0.as_path())
        } else {
            (self.runtime.clone(), self.root.0.as_path())
        };
        let case = with_variables(case, &tmp.0);
        let mut replay = Replay {
            runtime,
            root: root.to_path_buf(),
            tmp: tmp.0.clone(),
            containers: HashMap::new(),
            processes: HashMap::new(),
            seen: RefCell::default(),
        };
        let short;
        let steps = match case["steps"].as_array() {
            Some(steps) => steps.as_slice(),
            None => {
                let mut step = json!({"do": "run", "options": case["run"], "expect": case["expect"]});
                if let Some(image) = case.get("image") {
                    step["image"] = image.clone();
                }
                short = [step];
                &short
            }
        };
        let mut result = Ok(());
        for (i, step) in steps.iter().enumerate() {
            let outcome = replay.step(step);
            result = compare(outcome, &step["expect"])
                .map_err(|why| format!("step {i} ({}): {why}", step["do"].as_str().unwrap_or("?")));
            if result.is_err() {
                break;
            }
        }
        replay.clean_up(case["own_runtime"] == true);
        result
    }
}

fn open(root: &Path) -> Runtime {
    block_on(Runtime::builder().root(root).open()).expect("a fresh root opens")
}

fn with_variables(case: &Value, tmp: &Path) -> Value {
    match case {
        Value::String(text) => {
            let mut text = text.replace("$TMP", &tmp.to_string_lossy());
            if let Some(registry) = registry().filter(|_| text.contains("$REGISTRY")) {
                text = text.replace("$REGISTRY", registry);
            }
            for name in ["mnt", "pid", "net", "ipc", "uts", "cgroup"] {
                let variable = format!("$NS_{}", name.to_uppercase());
                if text.contains(&variable) {
                    let ns = std::fs::read_link(format!("/proc/self/ns/{name}")).expect("procfs is there");
                    text = text.replace(&variable, &ns.to_string_lossy());
                }
            }
            Value::String(text)
        }
        Value::Array(list) => list.iter().map(|v| with_variables(v, tmp)).collect(),
        Value::Object(map) => {
            map.iter().map(|(k, v)| (replaced_key(k, tmp), with_variables(v, tmp))).collect()
        }
        other => other.clone(),
    }
}

fn replaced_key(key: &str, tmp: &Path) -> String {
    key.replace("$TMP", &tmp.to_string_lossy())
}
