//! Bindings of the containers library.
