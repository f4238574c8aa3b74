//! What a call hands to JavaScript.

use crate::container::Container;
use crate::failure::Failure;
use crate::image::Image;
use crate::process::{Logs, Process};
use crate::runtime::Runtime;
use containers::{LogLine, Output, StdioStream};
use napi::bindgen_prelude::{Buffer, BufferSlice, Null, Object, ToNapiValue};
use napi::{Env, Result, sys};

/// Bytes below this are copied: cheaper than a finalizer for each.
const COPY_BELOW: usize = 16 * 1024;

/// A result, made on any thread, turned into a JavaScript value on the environment's own.
pub enum Value {
    Nothing,
    Integer(i64),
    /// `undefined` in JavaScript is "not yet", so this is `null`.
    Null,
    Bytes(Vec<u8>),
    Chunk(StdioStream, Vec<u8>),
    Container(Container),
    Image(Image),
    Images(Vec<Image>),
    /// Parsed by `JSON.parse`, much cheaper than building objects call by call.
    Json(String),
    Line(LogLine),
    Logs(Logs),
    Output(Output),
    Process(Process),
    Runtime(Runtime),
}

/// A value or a failure, as `[failure, value]`.
pub struct Outcome(pub std::result::Result<Value, Failure>);

impl Value {
    /// Anything that serialises.
    pub fn json(value: &impl serde::Serialize) -> std::result::Result<Value, Failure> {
        serde_json::to_string(value).map(Value::Json).map_err(|e| {
            Failure::Core(containers::Error::new(
                containers::ErrorKind::Internal,
                format!("can't describe the result: {e}"),
            ))
        })
    }
}

fn bytes<'env>(env: &'env Env, data: Vec<u8>) -> Result<sys::napi_value> {
    if data.len() < COPY_BELOW {
        let copied: BufferSlice<'env> = BufferSlice::copy_from(env, &data)?;
        return raw(env, &copied);
    }
    raw(env, Buffer::from(data))
}

fn raw<T: ToNapiValue>(env: &Env, value: T) -> Result<sys::napi_value> {
    // SAFETY: `env` is the environment whose thread this is: conversions run only inside calls from it.
    unsafe { T::to_napi_value(env.raw(), value) }
}

fn name(stream: StdioStream) -> &'static str {
    match stream {
        StdioStream::Stdout => "stdout",
        StdioStream::Stderr => "stderr",
    }
}

/// A JavaScript value that was made already, so that it can be put into an object.
struct Made(sys::napi_value);

impl ToNapiValue for Made {
    unsafe fn to_napi_value(_env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        Ok(value.0)
    }
}

fn output(env: &Env, output: Output) -> Result<sys::napi_value> {
    let mut o = Object::new(env)?;
    o.set("exitCode", output.exit_code)?;
    o.set("stdout", Made(bytes(env, output.stdout)?))?;
    o.set("stderr", Made(bytes(env, output.stderr)?))?;
    o.set("signal", output.signal.map_or(Ok(Made(raw(env, Null)?)), |s| raw(env, s).map(Made))?)?;
    o.set("oomKilled", output.oom_killed)?;
    o.set("args", output.args)?;
    raw(env, o)
}

fn line(env: &Env, line: LogLine) -> Result<sys::napi_value> {
    let mut o = Object::new(env)?;
    o.set("stream", name(line.stream))?;
    o.set("data", Made(bytes(env, line.data)?))?;
    o.set("time", line.time as f64 / 1e6)?;
    raw(env, o)
}

fn failure(env: &Env, failure: &Failure) -> Result<sys::napi_value> {
    let (text, partial) = failure.describe();
    let mut o = Object::new(env)?;
    o.set("text", text)?;
    if let Some(partial) = partial {
        o.set("output", Made(output(env, partial)?))?;
    }
    raw(env, o)
}

impl ToNapiValue for Value {
    unsafe fn to_napi_value(env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        let env = &Env::from_raw(env);
        match value {
            Value::Nothing => raw(env, ()),
            Value::Null => raw(env, Null),
            Value::Integer(n) => raw(env, n as f64),
            Value::Bytes(data) => bytes(env, data),
            Value::Chunk(stream, data) => {
                let mut pair = env.create_array(2)?;
                pair.set(0, name(stream))?;
                pair.set(1, Made(bytes(env, data)?))?;
                raw(env, pair)
            }
            Value::Container(c) => raw(env, c),
            Value::Image(i) => raw(env, i),
            Value::Images(images) => raw(env, images),
            Value::Json(text) => raw(env, text),
            Value::Line(l) => line(env, l),
            Value::Logs(l) => raw(env, l),
            Value::Output(o) => output(env, o),
            Value::Process(p) => raw(env, p),
            Value::Runtime(r) => raw(env, r),
        }
    }
}

impl ToNapiValue for Outcome {
    unsafe fn to_napi_value(env: sys::napi_env, outcome: Self) -> Result<sys::napi_value> {
        let env = &Env::from_raw(env);
        let mut pair = env.create_array(2)?;
        match outcome.0 {
            Ok(value) => pair.set(1, value)?,
            Err(e) => pair.set(0, Made(failure(env, &e)?))?,
        }
        raw(env, pair)
    }
}
