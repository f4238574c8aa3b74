//! A runtime, its images and its containers.

use crate::container::Container;
use crate::failure::Failure;
use crate::image::Image;
use crate::options;
use crate::port::Port;
use crate::value::Value;
use containers::executor::IoGuard;
use containers::{Containers, Images, PullEvent};
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// An open root.
#[napi]
pub struct Runtime {
    root: String,
    runtime: containers::Runtime,
    /// The I/O thread stays from the opening to the closing, whenever JavaScript collects the handle.
    guard: Mutex<Option<IoGuard>>,
}

impl Runtime {
    async fn opened(root: Option<String>, rootless: Option<bool>) -> Result<Runtime, Failure> {
        let guard = IoGuard::acquire().map_err(Failure::thread)?;
        let mut builder = containers::Runtime::builder();
        if let Some(root) = root {
            builder = builder.root(root);
        }
        if let Some(rootless) = rootless {
            builder = builder.rootless(rootless);
        }
        let runtime = builder.open().await?;
        let root = runtime.root().to_string_lossy().into_owned();
        Ok(Runtime { root, runtime, guard: Mutex::new(Some(guard)) })
    }

    fn images(&self) -> Images {
        self.runtime.images()
    }

    fn containers(&self) -> Containers {
        self.runtime.containers()
    }
}

fn progress(port: &Port, id: u32) -> Arc<dyn Fn(PullEvent) + Send + Sync> {
    let mailbox = port.mailbox();
    Arc::new(move |event: PullEvent| {
        let key = match &event {
            PullEvent::Downloading { layer, .. } => layer.clone(),
            // Every other event counts.
            other => format!("{other:?}"),
        };
        if let Ok(text) = serde_json::to_string(&event) {
            mailbox.event(id, key, text);
        }
    })
}

/// Opens a root.
#[napi(catch_unwind)]
pub fn open(port: &Port, id: u32, root: Option<String>, rootless: Option<bool>) {
    port.start(id, async move { Ok(Value::Runtime(Runtime::opened(root, rootless).await?)) });
}

/// Runs one command with a runtime opened for this call alone.
#[napi(catch_unwind)]
pub fn run_once(port: &Port, id: u32, image: String, options: String, input: Option<Buffer>) {
    let input = input.map(|b| b.to_vec());
    port.start(id, async move {
        let options = options::run(&options, input)?;
        let runtime = containers::Runtime::builder().open().await?;
        let output = runtime.containers().run_with(image, options).await;
        let closed = runtime.close().await;
        let output = output?;
        closed?;
        Ok(Value::Output(output))
    });
}

#[napi]
impl Runtime {
    /// The folder.
    #[napi(getter, catch_unwind)]
    pub fn root(&self) -> String {
        self.root.clone()
    }

    /// What this machine and this root have.
    #[napi(catch_unwind)]
    pub fn info(&self, port: &Port, id: u32) {
        let runtime = self.runtime.clone();
        port.start_sync(id, move || Value::json(&runtime.info()?));
    }

    /// Kills attached containers, ends the launcher.
    #[napi(catch_unwind)]
    pub fn close(&self, port: &Port, id: u32) {
        let (runtime, guard) = (self.runtime.clone(), self.guard.lock());
        let guard = guard.unwrap_or_else(PoisonError::into_inner).take();
        port.start(id, async move {
            let closed = runtime.close().await;
            drop(guard);
            closed?;
            Ok(Value::Nothing)
        });
    }

    /// Runs a command to its end.
    #[napi(catch_unwind)]
    pub fn run(&self, port: &Port, id: u32, image: String, options: String, input: Option<Buffer>) {
        let containers = self.containers();
        let input = input.map(|b| b.to_vec());
        port.start(id, async move {
            let options = options::run(&options, input)?;
            Ok(Value::Output(containers.run_with(image, options).await?))
        });
    }

    /// Creates and starts a detached container.
    #[napi(catch_unwind)]
    pub fn run_detached(&self, port: &Port, id: u32, image: String, options: String) {
        let containers = self.containers();
        port.start(id, async move {
            let options = options::parse(&options)?;
            Ok(Value::Container(Container::new(containers.run_detached(image, options).await?)))
        });
    }

    /// Creates a container.
    #[napi(catch_unwind)]
    pub fn create(&self, port: &Port, id: u32, image: String, options: String) {
        let containers = self.containers();
        port.start(id, async move {
            let options = options::parse(&options)?;
            Ok(Value::Container(Container::new(containers.create_with(image, options).await?)))
        });
    }

    /// Finds a container.
    #[napi(catch_unwind)]
    pub fn container(&self, port: &Port, id: u32, name: String) {
        let containers = self.containers();
        port.start_sync(id, move || Ok(Value::Container(Container::new(containers.get(&name)?))));
    }

    /// Lists containers.
    #[napi(catch_unwind)]
    pub fn list(&self, port: &Port, id: u32, options: String) {
        let containers = self.containers();
        port.start_sync(id, move || Value::json(&containers.list(&options::parse(&options)?)?));
    }

    /// Fetches an image.
    #[napi(catch_unwind)]
    pub fn pull(&self, port: &Port, id: u32, reference: String, options: String, events: bool) {
        let images = self.images();
        let progress = events.then(|| progress(port, id));
        port.start(id, async move {
            let mut options = options::pull(&options)?;
            options.progress = progress;
            Ok(Value::Image(Image::new(images.pull_with(&reference, options).await?)))
        });
    }

    /// Loads an archive or a layout.
    #[napi(catch_unwind)]
    pub fn load(&self, port: &Port, id: u32, path: String, options: String, events: bool) {
        let images = self.images();
        let progress = events.then(|| progress(port, id));
        port.start(id, async move {
            let mut options = options::load(&options)?;
            options.progress = progress;
            let loaded = images.load(PathBuf::from(path), options).await?;
            Ok(Value::Images(loaded.into_iter().map(Image::new).collect()))
        });
    }

    /// Makes an image from a root file system.
    #[napi(catch_unwind)]
    pub fn import(&self, port: &Port, id: u32, path: String, options: String) {
        let images = self.images();
        port.start(id, async move {
            let options = options::import(&options)?;
            Ok(Value::Image(Image::new(images.import_(PathBuf::from(path), options).await?)))
        });
    }

    /// Finds an image.
    #[napi(catch_unwind)]
    pub fn image(&self, port: &Port, id: u32, reference: String) {
        let images = self.images();
        port.start_sync(id, move || Ok(Value::Image(Image::new(images.get(&reference)?))));
    }

    /// Lists images.
    #[napi(catch_unwind)]
    pub fn image_list(&self, port: &Port, id: u32) {
        let images = self.images();
        port.start_sync(id, move || Value::json(&images.list()?));
    }

    /// Removes an image.
    #[napi(catch_unwind)]
    pub fn image_remove(&self, port: &Port, id: u32, reference: String, force: bool) {
        let images = self.images();
        port.start_sync(id, move || {
            images.remove(&reference, force)?;
            Ok(Value::Nothing)
        });
    }
}
