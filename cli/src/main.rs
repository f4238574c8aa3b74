//! The containers command line.

fn main() {}
