//! One container.

use crate::image::Image;
use crate::options;
use crate::port::Port;
use crate::process::{Logs, Process};
use crate::value::{Outcome, Value};
use napi_derive::napi;
use std::sync::Arc;

/// One container. Work in progress holds it too, so collecting the handle never pulls it from under a wait.
#[napi]
pub struct Container {
    inner: Arc<containers::Container>,
}

impl Container {
    /// Wraps core's.
    pub fn new(inner: containers::Container) -> Container {
        Container { inner: Arc::new(inner) }
    }
}

#[napi]
impl Container {
    /// 64 hexadecimal digits.
    #[napi(getter, catch_unwind)]
    pub fn id(&self) -> String {
        self.inner.id().to_owned()
    }

    /// Its name.
    #[napi(getter, catch_unwind)]
    pub fn name(&self) -> String {
        self.inner.name()
    }

    /// How it stands.
    #[napi(catch_unwind)]
    pub fn status(&self) -> Outcome {
        Outcome(self.inner.status().map_err(Into::into).and_then(|s| Value::json(&s)))
    }

    /// Process id on the host.
    #[napi(catch_unwind)]
    pub fn pid(&self) -> Outcome {
        let pid = self.inner.pid().map_err(Into::into);
        Outcome(pid.map(|pid| pid.map_or(Value::Null, |pid| Value::Integer(pid.into()))))
    }

    /// docker's document about it.
    #[napi(catch_unwind)]
    pub fn inspect(&self, port: &Port, id: u32) {
        let c = self.inner.clone();
        port.start_sync(id, move || Value::json(&c.inspect()?));
    }

    /// The same document, now.
    #[napi(catch_unwind)]
    pub fn document(&self) -> Outcome {
        Outcome(self.inner.inspect().map_err(Into::into).and_then(|document| Value::json(&document)))
    }

    /// The image it was made from.
    #[napi(catch_unwind)]
    pub fn image(&self, port: &Port, id: u32) {
        let c = self.inner.clone();
        port.start_sync(id, move || Ok(Value::Image(Image::new(c.image()?))));
    }

    /// Starts it.
    #[napi(catch_unwind)]
    pub fn start(&self, port: &Port, id: u32) {
        let c = self.inner.clone();
        port.start(id, async move {
            c.start().await?;
            Ok(Value::Nothing)
        });
    }

    /// Stop signal, then kill.
    #[napi(catch_unwind)]
    pub fn stop(&self, port: &Port, id: u32, options: String) {
        let c = self.inner.clone();
        port.start(id, async move {
            c.stop_with(&options::parse(&options)?).await?;
            Ok(Value::Nothing)
        });
    }

    /// Stop, then start.
    #[napi(catch_unwind)]
    pub fn restart(&self, port: &Port, id: u32, options: String) {
        let c = self.inner.clone();
        port.start(id, async move {
            c.restart_with(&options::parse(&options)?).await?;
            Ok(Value::Nothing)
        });
    }

    /// Sends a signal.
    #[napi(catch_unwind)]
    pub fn kill(&self, port: &Port, id: u32, signal: String) {
        let c = self.inner.clone();
        port.start(id, async move {
            c.kill(&signal).await?;
            Ok(Value::Nothing)
        });
    }

    /// Freezes it.
    #[napi(catch_unwind)]
    pub fn pause(&self, port: &Port, id: u32) {
        let c = self.inner.clone();
        port.start(id, async move {
            c.pause().await?;
            Ok(Value::Nothing)
        });
    }

    /// Thaws it.
    #[napi(catch_unwind)]
    pub fn unpause(&self, port: &Port, id: u32) {
        let c = self.inner.clone();
        port.start(id, async move {
            c.unpause().await?;
            Ok(Value::Nothing)
        });
    }

    /// Waits for its end.
    #[napi(catch_unwind)]
    pub fn wait(&self, port: &Port, id: u32, timeout: Option<f64>) {
        let c = self.inner.clone();
        port.start(id, async move { Ok(Value::Integer(c.wait(options::duration(timeout)?).await?.into())) });
    }

    /// Starts a further process.
    #[napi(catch_unwind)]
    pub fn exec(&self, port: &Port, id: u32, options: String) {
        let c = self.inner.clone();
        port.start(
            id,
            async move { Ok(Value::Process(Process::new(c.exec(options::parse(&options)?).await?))) },
        );
    }

    /// Runs a further process to its end.
    #[napi(catch_unwind)]
    pub fn exec_run(&self, port: &Port, id: u32, options: String, check: bool) {
        let c = self.inner.clone();
        port.start(id, async move { Ok(Value::Output(c.exec_run(options::parse(&options)?, check).await?)) });
    }

    /// Its streams from now on.
    #[napi(catch_unwind)]
    pub fn attach(&self, port: &Port, id: u32) {
        let c = self.inner.clone();
        port.start(id, async move { Ok(Value::Process(Process::new(c.attach().await?))) });
    }

    /// Its output so far.
    #[napi(catch_unwind)]
    pub fn logs(&self, port: &Port, id: u32, options: String) {
        let c = self.inner.clone();
        port.start_sync(id, move || Ok(Value::Bytes(c.logs(&options::parse(&options)?)?)));
    }

    /// Its output line by line.
    #[napi(catch_unwind)]
    pub fn logs_stream(&self, port: &Port, id: u32, options: String) {
        let c = self.inner.clone();
        port.start_sync(id, move || Ok(Value::Logs(Logs::new(c.logs_stream(options::parse(&options)?)?))));
    }

    /// Sets the size of its terminal.
    #[napi(catch_unwind)]
    pub fn resize(&self, port: &Port, id: u32, rows: u16, cols: u16) {
        let c = self.inner.clone();
        port.start(id, async move {
            c.resize(rows, cols).await?;
            Ok(Value::Nothing)
        });
    }

    /// Gives it another name.
    #[napi(catch_unwind)]
    pub fn rename(&self, port: &Port, id: u32, name: String) {
        let c = self.inner.clone();
        port.start_sync(id, move || {
            c.rename(&name)?;
            Ok(Value::Nothing)
        });
    }

    /// Removes it.
    #[napi(catch_unwind)]
    pub fn remove(&self, port: &Port, id: u32, options: String) {
        let c = self.inner.clone();
        port.start(id, async move {
            c.remove(options::parse(&options)?).await?;
            Ok(Value::Nothing)
        });
    }
}
