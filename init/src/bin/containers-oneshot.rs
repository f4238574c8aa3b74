//! The helper program of `containers-oci`.

fn main() {
    containers_init::oneshot()
}
