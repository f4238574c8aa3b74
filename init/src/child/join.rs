//! Further processes in a running container.
