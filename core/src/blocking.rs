//! The same without async: every wait polls on the caller's thread, also inside somebody else's executor.

pub use crate::executor::block_on;
