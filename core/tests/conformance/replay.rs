//! Replays one case: each verb of the table as calls of the library.

use crate::matchers::{check, data, shown};
use containers::blocking::block_on;
use containers::{
    Container, CreateOptions, Error, ExecOptions, ImportOptions, ListOptions, LoadOptions, LogOptions,
    Output, Platform, Process, PullOptions, PullPolicy, RemoveOptions, RunOptions, Runtime, StdioStream,
    StopOptions,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What a step gave.
enum Got {
    Nothing,
    Output(Output),
    Value(Value),
    Bytes(Vec<u8>),
    Json(Value),
    Names(Vec<String>),
    Lines(Vec<(String, String)>),
}

/// Why a step gave nothing.
enum Failed {
    Library(Error),
    /// The options do not deserialise: other languages' TypeError.
    Type(String),
    /// The table or the runner is wrong, or an expectation inside a step did not hold.
    Runner(String),
}

impl From<Error> for Failed {
    fn from(e: Error) -> Failed {
        Failed::Library(e)
    }
}

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

struct Replay {
    runtime: Runtime,
    root: PathBuf,
    tmp: PathBuf,
    containers: HashMap<String, Container>,
    processes: HashMap<String, Process>,
    seen: RefCell<HashMap<String, Vec<u8>>>,
}

fn options<T: DeserializeOwned + Default>(step: &Value) -> Result<T, Failed> {
    match step.get("options") {
        None => Ok(T::default()),
        Some(value) => serde_json::from_value(value.clone()).map_err(|e| Failed::Type(e.to_string())),
    }
}

fn run_options(step: &Value) -> Result<RunOptions, Failed> {
    let mut given = step["options"].clone();
    let input = given.as_object_mut().and_then(|o| o.remove("input"));
    let mut options: RunOptions = serde_json::from_value(given).map_err(|e| Failed::Type(e.to_string()))?;
    options.input = input.as_ref().and_then(data);
    Ok(options)
}

fn seconds(step: &Value) -> Option<Duration> {
    step["timeout"].as_f64().map(Duration::from_secs_f64)
}

fn stop_options(step: &Value) -> StopOptions {
    let mut options = StopOptions::default();
    options.timeout = step["timeout"].as_f64();
    options.stop_signal = step["stop_signal"].as_str().map(str::to_owned);
    options
}

fn text<'s>(step: &'s Value, key: &str) -> Result<&'s str, Failed> {
    step[key].as_str().ok_or_else(|| Failed::Runner(format!("the step lacks {key}")))
}

impl Replay {
    fn container(&self, step: &Value) -> Result<&Container, Failed> {
        let name = step["on"].as_str().unwrap_or("c");
        self.containers.get(name).ok_or_else(|| Failed::Runner(format!("no container {name} is kept")))
    }

    fn process(&self, step: &Value) -> Result<&Process, Failed> {
        let name = step["on"].as_str().unwrap_or("p");
        self.processes.get(name).ok_or_else(|| Failed::Runner(format!("no process {name} is kept")))
    }

    fn step(&mut self, step: &Value) -> Result<Got, Failed> {
        let verb = text(step, "do")?;
        if verb.starts_with("image_") {
            return self.image_step(verb, step);
        }
        if let Some(got) = self.process_step(verb, step)? {
            return Ok(got);
        }
        match verb {
            "run" => {
                let image = step["image"].as_str().unwrap_or("host");
                let options = run_options(step)?;
                Ok(Got::Output(block_on(self.runtime.containers().run_with(image, options))?))
            }
            "create" => {
                let image = step["image"].as_str().unwrap_or("host");
                let options: CreateOptions = options(step)?;
                let made = block_on(self.runtime.containers().create_with(image, options))?;
                Ok(self.keep(step, made))
            }
            "get" => {
                let made = self.runtime.containers().get(&self.reference(step)?)?;
                Ok(self.keep(step, made))
            }
            "list" => {
                let list = self.runtime.containers().list(&options::<ListOptions>(step)?)?;
                Ok(Got::Names(list.into_iter().map(|c| c.name).collect()))
            }
            "drop" => {
                self.containers.remove(step["on"].as_str().unwrap_or("c"));
                Ok(Got::Nothing)
            }
            "close_runtime" => {
                block_on(self.runtime.close())?;
                Ok(Got::Nothing)
            }
            "reopen" => {
                self.processes.clear();
                self.containers.clear();
                block_on(self.runtime.close())?;
                self.runtime = block_on(Runtime::builder().root(&self.root).open())?;
                Ok(Got::Nothing)
            }
            "shell" => self.shell(text(step, "script")?),
            _ => self.container_step(verb, step),
        }
    }

    fn keep(&mut self, step: &Value, container: Container) -> Got {
        self.containers.insert(step["as"].as_str().unwrap_or("c").to_owned(), container);
        Got::Nothing
    }

    fn reference(&self, step: &Value) -> Result<String, Failed> {
        let Some(of) = step["of"].as_str() else {
            return Ok(text(step, "ref")?.to_owned());
        };
        let other = &self.containers[of];
        match text(step, "by")? {
            "name" => Ok(other.name().to_owned()),
            "id" => Ok(other.id().to_owned()),
            "prefix" => Ok(other.id()[..12].to_owned()),
            unknown => Err(Failed::Runner(format!("get by {unknown} is unknown"))),
        }
    }

    fn container_step(&self, verb: &str, step: &Value) -> Result<Got, Failed> {
        let c = self.container(step)?;
        match verb {
            "start" => block_on(c.start())?,
            "stop" => block_on(c.stop_with(&stop_options(step)))?,
            "restart" => block_on(c.restart_with(&stop_options(step)))?,
            "pause" => block_on(c.pause())?,
            "unpause" => block_on(c.unpause())?,
            "kill" => block_on(c.kill(text(step, "signal")?))?,
            "remove" => block_on(c.remove(options::<RemoveOptions>(step)?))?,
            "rename" => c.rename(text(step, "name")?)?,
            "wait" => return Ok(Got::Value(json!(block_on(c.wait(seconds(step)))?))),
            "status" => return Ok(Got::Value(json!(c.status()?))),
            "pid" => return Ok(Got::Value(json!(c.pid()?))),
            "name" => return Ok(Got::Value(json!(c.name()))),
            "inspect" => return Ok(Got::Json(c.inspect()?)),
            "logs" => return Ok(Got::Bytes(c.logs(&options::<LogOptions>(step)?)?)),
            "logs_stream" => return self.log_lines(c, step),
            "await_log" => return self.await_log(c, text(step, "contains")?),
            "exec_run" => {
                let options: ExecOptions = options(step)?;
                return Ok(Got::Output(block_on(c.exec_run(options, step["check"] == true))?));
            }
            unknown => return Err(Failed::Runner(format!("the verb {unknown} is unknown"))),
        }
        Ok(Got::Nothing)
    }

    fn log_lines(&self, c: &Container, step: &Value) -> Result<Got, Failed> {
        let mut stream = c.logs_stream(options(step)?)?;
        let mut lines = Vec::new();
        while let Some(line) = block_on(stream.next())? {
            let name = if line.stream == StdioStream::Stdout { "stdout" } else { "stderr" };
            lines.push((name.to_owned(), String::from_utf8_lossy(&line.data).into_owned()));
        }
        Ok(Got::Lines(lines))
    }

    fn await_log(&self, c: &Container, wanted: &str) -> Result<Got, Failed> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let log = c.logs(&LogOptions::default())?;
            if String::from_utf8_lossy(&log).contains(wanted) {
                return Ok(Got::Nothing);
            }
            if Instant::now() > deadline {
                return Err(Failed::Runner(format!("the log stays {}, without {wanted:?}", shown(&log))));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Verbs of processes; `None`: it is none.
    fn process_step(&mut self, verb: &str, step: &Value) -> Result<Option<Got>, Failed> {
        let got = match verb {
            "exec" | "attach" => {
                let c = self.container(step)?;
                let p =
                    if verb == "exec" { block_on(c.exec(options(step)?))? } else { block_on(c.attach())? };
                let name = step["as"].as_str().unwrap_or("p").to_owned();
                self.seen.borrow_mut().retain(|key, _| !key.starts_with(&format!("{name}.")));
                self.processes.insert(name, p);
                Got::Nothing
            }
            "write" => {
                let bytes = data(&step["data"]).ok_or_else(|| Failed::Runner("data is missing".into()))?;
                block_on(self.process(step)?.write(&bytes))?;
                Got::Nothing
            }
            "close_stdin" => {
                self.process(step)?.close_stdin();
                Got::Nothing
            }
            "read_until" => self.read_until(step)?,
            "communicate" => {
                let input = data(&step["input"]).unwrap_or_default();
                Got::Output(block_on(self.process(step)?.communicate(&input))?)
            }
            "process_wait" => Got::Value(json!(block_on(self.process(step)?.wait(seconds(step)))?)),
            "process_poll" => Got::Value(json!(self.process(step)?.poll()?)),
            "process_kill" => {
                let signal = i32::try_from(step["signal"].as_i64().unwrap_or(-1)).unwrap_or(-1);
                block_on(self.process(step)?.kill(signal))?;
                Got::Nothing
            }
            "process_resize" => {
                let number = |key: &str| u16::try_from(step[key].as_u64().unwrap_or(0)).unwrap_or(0);
                block_on(self.process(step)?.resize(number("rows"), number("cols")))?;
                Got::Nothing
            }
            _ => return Ok(None),
        };
        Ok(Some(got))
    }

    fn read_until(&self, step: &Value) -> Result<Got, Failed> {
        let p = self.process(step)?;
        let wanted = text(step, "contains")?.as_bytes();
        let which = text(step, "stream")?;
        let stream = if which == "stderr" { StdioStream::Stderr } else { StdioStream::Stdout };
        let mut seen = self.seen.borrow_mut();
        let seen = seen.entry(format!("{}.{which}", step["on"].as_str().unwrap_or("p"))).or_default();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !seen.windows(wanted.len()).any(|w| w == wanted) {
            let read = containers::executor::timeout_at(Some(deadline), p.read(stream, 65536));
            let Ok(more) = block_on(read) else {
                return Err(Failed::Runner(format!("{which} stays {}", shown(seen))));
            };
            let more = more?;
            if more.is_empty() {
                return Err(Failed::Runner(format!("{which} ended with {}", shown(seen))));
            }
            seen.extend_from_slice(&more);
        }
        Ok(Got::Nothing)
    }

    fn shell(&self, script: &str) -> Result<Got, Failed> {
        let mut command = Command::new("sh");
        command.args(["-e", "-c", script]).env("TMP", &self.tmp).current_dir(&self.tmp);
        let out = command.output().map_err(|e| Failed::Runner(format!("sh does not start: {e}")))?;
        let exit_code = out.status.code().unwrap_or(-1);
        Ok(Got::Output(Output { exit_code, stdout: out.stdout, stderr: out.stderr, ..Output::default() }))
    }

    fn image_step(&self, verb: &str, step: &Value) -> Result<Got, Failed> {
        let images = self.runtime.images();
        match verb {
            "image_pull" => {
                block_on(images.pull_with(text(step, "ref")?, pull_options(&step["options"])?))?;
            }
            "image_import" => {
                block_on(images.import_(text(step, "path")?, import_options(&step["options"])))?;
            }
            "image_load" => {
                block_on(images.load(text(step, "path")?, LoadOptions::default()))?;
            }
            "image_get" => {
                images.get(text(step, "ref")?)?;
            }
            "image_tag" => images.get(text(step, "ref")?)?.tag(text(step, "tag")?)?,
            "image_remove" => images.remove(text(step, "ref")?, step["force"] == true)?,
            "image_inspect" => return Ok(Got::Json(images.get(text(step, "ref")?)?.inspect()?)),
            "image_list" => {
                return Ok(Got::Names(images.list()?.into_iter().flat_map(|i| i.tags).collect()));
            }
            unknown => return Err(Failed::Runner(format!("the verb {unknown} is unknown"))),
        }
        Ok(Got::Nothing)
    }

    fn clean_up(mut self, own_runtime: bool) {
        self.processes.clear();
        self.containers.clear();
        let mut all = ListOptions::default();
        all.all = true;
        for summary in self.runtime.containers().list(&all).unwrap_or_default() {
            if summary.detached
                && let Ok(c) = self.runtime.containers().get(&summary.id)
            {
                let mut force = RemoveOptions::default();
                force.force = true;
                let _ = block_on(c.remove(force));
            }
        }
        if own_runtime {
            let _ = block_on(self.runtime.close());
        }
    }
}

fn pull_options(given: &Value) -> Result<PullOptions, Failed> {
    let mut options = PullOptions::default();
    options.insecure = given["insecure"] == true;
    if let Some(word) = given.get("policy") {
        options.policy =
            serde_json::from_value::<PullPolicy>(word.clone()).map_err(|e| Failed::Type(e.to_string()))?;
    }
    if let Some(text) = given["platform"].as_str() {
        let mut parts = text.splitn(3, '/').map(str::to_owned);
        options.platform = Some(Platform {
            os: parts.next().unwrap_or_default(),
            architecture: parts.next().unwrap_or_default(),
            variant: parts.next(),
        });
    }
    Ok(options)
}

fn import_options(given: &Value) -> ImportOptions {
    let mut options = ImportOptions::default();
    let owned = |v: &Value| v.as_str().map(str::to_owned);
    options.tag = owned(&given["tag"]);
    options.message = owned(&given["message"]);
    options.changes =
        given["changes"].as_array().map(|l| l.iter().filter_map(owned).collect()).unwrap_or_default();
    options
}

fn compare(outcome: Result<Got, Failed>, expect: &Value) -> Result<(), String> {
    let wants_error = expect.get("error");
    let wants_type_error = expect["type_error"] == true;
    match outcome {
        Err(Failed::Runner(why)) => Err(why),
        Err(Failed::Type(_)) if wants_type_error => Ok(()),
        Err(Failed::Type(why)) => Err(format!("the options do not deserialise: {why}")),
        Err(Failed::Library(e)) => match wants_error {
            Some(wanted) => compare_error(&e, wanted),
            None => Err(format!("failed with {}: {e}", e.code())),
        },
        Ok(got) => {
            if wants_type_error {
                return Err("a wrong type was accepted".into());
            }
            if let Some(wanted) = wants_error {
                return Err(format!("succeeded instead of failing with {}{}", wanted["code"], summary(&got)));
            }
            compare_result(got, expect)
        }
    }
}

fn summary(got: &Got) -> String {
    match got {
        Got::Output(o) => {
            format!(" (exit code {}, stdout {}, stderr {})", o.exit_code, shown(&o.stdout), shown(&o.stderr))
        }
        _ => String::new(),
    }
}

fn compare_error(e: &Error, wanted: &Value) -> Result<(), String> {
    if wanted["code"] != e.code() {
        return Err(format!("failed with {}, not {}: {e}", e.code(), wanted["code"]));
    }
    for (key, matcher) in wanted["context"].as_object().into_iter().flatten() {
        let values: Vec<_> = e.context().iter().filter(|(k, _)| k == key).collect();
        if !values.iter().any(|(_, v)| check(key, matcher, v.as_bytes()).is_ok()) {
            return Err(format!("context lacks {key}={matcher}: {e} {:?}", e.context()));
        }
    }
    if let Some(matcher) = wanted.get("message") {
        check("the message", matcher, e.to_string().as_bytes())?;
    }
    for (key, get) in [("stdout", stdout as fn(&Output) -> &[u8]), ("stderr", stderr)] {
        if let Some(matcher) = wanted.get(key) {
            let output = e.output().ok_or_else(|| format!("the error carries no output: {e}"))?;
            check(key, matcher, get(output))?;
        }
    }
    Ok(())
}

fn stdout(o: &Output) -> &[u8] {
    &o.stdout
}

fn stderr(o: &Output) -> &[u8] {
    &o.stderr
}

fn compare_result(got: Got, expect: &Value) -> Result<(), String> {
    match got {
        Got::Nothing => Ok(()),
        Got::Output(o) => compare_output(&o, expect),
        Got::Value(v) => match (&v, expect.get("value")) {
            (_, None) => Ok(()),
            (Value::String(s), Some(matcher)) => check("the value", matcher, s.as_bytes()),
            (v, Some(wanted)) if *v == *wanted => Ok(()),
            (v, Some(wanted)) => Err(format!("the value is {v}, not {wanted}")),
        },
        Got::Bytes(b) => expect.get("value").map_or(Ok(()), |m| check("the value", m, &b)),
        Got::Json(document) => {
            for (pointer, wanted) in expect["json"].as_object().into_iter().flatten() {
                match document.pointer(pointer) {
                    Some(Value::String(s)) => check(pointer, wanted, s.as_bytes())?,
                    Some(v) if v == wanted => {}
                    other => return Err(format!("{pointer} is {other:?}, not {wanted}")),
                }
            }
            Ok(())
        }
        Got::Names(names) => {
            let listed = |key: &str| expect["names"][key].as_array().cloned().unwrap_or_default();
            let has = |v: &Value| names.iter().any(|n| v == n.as_str());
            if let Some(missing) = listed("includes").iter().find(|v| !has(v)) {
                return Err(format!("{missing} is not in {names:?}"));
            }
            match listed("excludes").iter().find(|v| has(v)) {
                Some(extra) => Err(format!("{extra} is in {names:?}")),
                None => Ok(()),
            }
        }
        Got::Lines(lines) => {
            if expect["lines"] == json!(lines) {
                Ok(())
            } else {
                Err(format!("the lines are {lines:?}, not {}", expect["lines"]))
            }
        }
    }
}

fn compare_output(o: &Output, expect: &Value) -> Result<(), String> {
    let all = || format!("stdout {}, stderr {}", shown(&o.stdout), shown(&o.stderr));
    let code = expect["exit_code"].as_i64().unwrap_or(0);
    if i64::from(o.exit_code) != code {
        return Err(format!("the exit code is {}, not {code}: {}", o.exit_code, all()));
    }
    if expect["signal"].as_i64() != o.signal.map(i64::from) {
        return Err(format!("the signal is {:?}, not {}: {}", o.signal, expect["signal"], all()));
    }
    if expect["oom_killed"].as_bool().is_some_and(|wanted| wanted != o.oom_killed) {
        return Err(format!("oom_killed is {}: {}", o.oom_killed, all()));
    }
    for (key, bytes) in [("stdout", &o.stdout), ("stderr", &o.stderr)] {
        if let Some(matcher) = expect.get(key) {
            check(key, matcher, bytes).map_err(|why| format!("{why}; {}", all()))?;
        }
    }
    Ok(())
}
