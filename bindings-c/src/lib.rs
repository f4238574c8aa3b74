//! The C interface. Every function converts its arguments, calls the library and maps the result; all
//! handling of raw pointers is in [`ffi`].
//!
//! Pointers from C are typed by what the header promises: `Option<&T>` is a borrowed handle or NULL,
//! `Option<Box<T>>` one that is given back, `Option<&mut MaybeUninit<T>>` room for a result.

#![allow(non_camel_case_types, reason = "the names are those of the C interface")]

mod error;

mod cancel;
mod runtime;

mod options;

mod output;

mod image;

mod container;

mod process;

mod logs;

mod ffi;
