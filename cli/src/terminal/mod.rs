//! The terminal: raw mode, its size, signals, and a session that joins it to a process.

pub mod session;
pub mod signals;
pub mod tty;
