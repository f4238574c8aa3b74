//! What is printed, in docker's shapes.

pub mod progress;
pub mod size;
pub mod table;
pub mod template;
pub mod time;
