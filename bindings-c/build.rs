//! Writes the header into `OUT_DIR` (a test compares it with the committed `include/containers.h`) and
//! gives the shared library its name.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcontainers.so");

    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("set by cargo"));
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let header = cbindgen::Builder::new()
        .with_src(here.join("src/lib.rs"))
        .with_config(config)
        .generate()
        .expect("the interface can be written in C");
    let mut text = Vec::new();
    header.write(&mut text);
    let text = plain_pointers(&String::from_utf8(text).expect("the sources are UTF-8"));
    std::fs::write(out.join("containers.h"), text).expect("OUT_DIR is writable");
}

/// Pointers from the caller have types of their own in Rust (see `src/ffi.rs`), which cbindgen writes as
/// typedefs; in the header they are what they are.
fn plain_pointers(header: &str) -> String {
    let mut out = String::with_capacity(header.len());
    for line in header.split_inclusive('\n') {
        if line.starts_with("typedef const ") && line.contains("*ctr_given_") {
            continue;
        }
        let mut line = line.replace("ctr_given_text ", "const char *");
        line = line.replace("ctr_given_texts ", "const char *const *");
        line = line.replace("ctr_given_mounts ", "const ctr_mount *const *");
        while let Some(at) = line.find("ctr_given_options_") {
            let rest = &line[at + "ctr_given_options_".len()..];
            let (name, after) = rest.split_once(' ').expect("a type is followed by a name");
            line = format!("{}const {name} *{after}", &line[..at]);
        }
        out.push_str(&line);
    }
    // What the left out typedefs leave behind.
    while out.contains("\n\n\n") {
        out = out.replace("\n\n\n", "\n\n");
    }
    out
}
