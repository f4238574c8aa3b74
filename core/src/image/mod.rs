//! Images: content-addressed blobs, layers unpacked once, records in SQLite.

mod auth;
mod builder;
mod digest;
mod handle;
pub(crate) mod host;
mod import;
mod inspect;
mod load;
mod manifest;
mod options;
mod pull;
mod reference;
mod registries_conf;
mod registry;
mod snapshot;
pub(crate) mod store;
mod time;

pub(crate) use digest::Digest;
pub(crate) use manifest::machine;
pub(crate) use reference::Reference;

pub use builder::PullBuilder;
pub use handle::{HistoryEntry, Image, ImageConfig, ImageSummary, Images};
pub use options::{Auth, ImportOptions, LoadOptions, Platform, PullEvent, PullOptions, PullPolicy};
