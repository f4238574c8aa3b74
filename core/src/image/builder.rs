//! `pull` with its options one after another.

use super::{Auth, Image, Images, Platform, PullEvent, PullOptions, PullPolicy};
use crate::Result;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

/// A pull in the making: [`Images::pull`]. `.await` it.
#[derive(Clone)]
#[must_use = "nothing is pulled until it is awaited"]
pub struct PullBuilder {
    images: Images,
    reference: String,
    options: PullOptions,
}

impl PullBuilder {
    pub(super) fn new(images: Images, reference: String) -> PullBuilder {
        PullBuilder { images, reference, options: PullOptions::default() }
    }

    /// Calls `f` with progress, on the thread that does the work; it must not block for long.
    pub fn on_progress(mut self, f: impl Fn(PullEvent) + Send + Sync + 'static) -> Self {
        self.options.progress = Some(Arc::new(f));
        self
    }

    /// Default: this machine's.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.options.platform = Some(platform);
        self
    }

    /// When to ask the registry.
    pub fn policy(mut self, policy: PullPolicy) -> Self {
        self.options.policy = policy;
        self
    }

    /// Default: from the credential files.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.options.auth = Some(auth);
        self
    }

    /// Allow plain HTTP and unverified certificates.
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.options.insecure = insecure;
        self
    }
}

impl IntoFuture for PullBuilder {
    type Output = Result<Image>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Image>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.images.pull_with(&self.reference, self.options).await })
    }
}
