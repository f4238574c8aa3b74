//! One image.

use crate::failure::Failure;
use crate::port::Port;
use crate::value::{Outcome, Value};
use napi_derive::napi;

/// One image.
#[napi]
pub struct Image {
    inner: containers::Image,
}

impl Image {
    /// Wraps core's.
    pub fn new(inner: containers::Image) -> Image {
        Image { inner }
    }
}

/// The machine's own system as an image.
#[napi(catch_unwind)]
pub fn host(paths: Vec<String>) -> Image {
    Image::new(containers::Image::host(paths))
}

#[napi]
impl Image {
    /// Id, digest, size, platform and configuration: what never changes, as JSON.
    #[napi(catch_unwind)]
    pub fn facts(&self) -> Outcome {
        let i = &self.inner;
        Outcome(Value::json(&serde_json::json!({
            "id": i.id(),
            "digest": i.digest(),
            "size": i.size(),
            "platform": i.platform(),
            "config": i.config(),
        })))
    }

    /// What containers are created from by name.
    #[napi(getter, catch_unwind)]
    pub fn name(&self) -> String {
        self.inner.id().to_owned()
    }

    /// References with tags.
    #[napi(catch_unwind)]
    pub fn tags(&self) -> Vec<String> {
        self.inner.tags()
    }

    /// How it came to be.
    #[napi(catch_unwind)]
    pub fn history(&self, port: &Port, id: u32) {
        let image = self.inner.clone();
        port.start_sync(id, move || Value::json(&image.history()));
    }

    /// Gives it a further reference.
    #[napi(catch_unwind)]
    pub fn tag(&self, port: &Port, id: u32, reference: String) {
        let image = self.inner.clone();
        port.start_sync(id, move || {
            image.tag(&reference).map_err(Failure::from)?;
            Ok(Value::Nothing)
        });
    }

    /// docker's document about it.
    #[napi(catch_unwind)]
    pub fn inspect(&self, port: &Port, id: u32) {
        let image = self.inner.clone();
        port.start_sync(id, move || Value::json(&image.inspect()?));
    }
}
