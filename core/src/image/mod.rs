//! Images: content-addressed blobs, layers unpacked once, records in SQLite.

mod handle;
mod options;

pub use handle::{HistoryEntry, Image, ImageConfig, ImageSummary, Images};
pub use options::{Auth, ImportOptions, LoadOptions, Platform, PullEvent, PullOptions, PullPolicy};
