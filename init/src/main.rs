//! The helper program of the containers library.

fn main() {}
