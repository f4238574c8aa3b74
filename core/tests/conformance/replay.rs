//! Replays one case: each verb of the table as calls of the library.

use crate::matchers::{data, shown};
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
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// What a step gave.
pub enum Got {
    Nothing,
    Output(Output),
    Value(Value),
    Bytes(Vec<u8>),
    Json(Value),
    Names(Vec<String>),
    Lines(Vec<(String, String)>),
}

/// Why a step gave nothing.
pub enum Failed {
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

/// One case that is being replayed.
pub struct Replay {
    pub runtime: Runtime,
    pub root: PathBuf,
    pub tmp: PathBuf,
    pub containers: HashMap<String, Container>,
    pub processes: HashMap<String, Process>,
    pub seen: RefCell<HashMap<String, Vec<u8>>>,
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

    /// One step.
    pub fn step(&mut self, step: &Value) -> Result<Got, Failed> {
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

    pub fn clean_up(mut self, own_runtime: bool) {
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
