//! The helper program of the library.

fn main() {
    containers_init::main()
}
