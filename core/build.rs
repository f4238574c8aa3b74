//! Builds the helper program as one static executable that the library embeds. Without the engine there is none: the OCI
//! runtime is its own.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program.
const NAME: &str = "containers-init";

fn main() {
    if env::var_os("CARGO_FEATURE_ENGINE").is_none() {
        return;
    }
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let workspace = manifest.parent().expect("core lies in the workspace").to_path_buf();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    for watched in ["init/src", "init/Cargo.toml", "init/protocol", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={}", workspace.join(watched).display());
    }
    let target = env::var("TARGET").expect("set by cargo");
    let folder = target_dir(&out).join("helper");
    let built = build_helper(&workspace, &target, &folder);
    let embedded = out.join(NAME);
    std::fs::copy(&built, &embedded).expect("the helper was built");
    println!("cargo:rustc-env=CONTAINERS_HELPER={}", embedded.display());
}

/// The workspace's target folder: `OUT_DIR` is `<target>/<profile>/build/<package>/out`, with a triple
/// before the profile when cross-compiling.
fn target_dir(out: &Path) -> PathBuf {
    out.ancestors()
        .find(|p| p.join("CACHEDIR.TAG").exists())
        .or_else(|| out.ancestors().nth(4))
        .expect("OUT_DIR lies below the target folder")
        .to_path_buf()
}

fn build_helper(workspace: &Path, target: &str, folder: &Path) -> PathBuf {
    const PROFILE: &str = "helper";
    let mut cargo = Command::new(env::var_os("CARGO").expect("set by cargo"));
    cargo
        .current_dir(workspace)
        .args(["build", "--quiet", "--package", "containers-init", "--profile", PROFILE])
        .args(["--target", target, "--target-dir"])
        .arg(folder)
        // Static and not position-independent: nothing to relocate at its start.
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static\u{1f}-Crelocation-model=static")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER");
    let status = cargo.status().expect("cargo can be started");
    assert!(status.success(), "building the helper program failed");
    folder.join(target).join(PROFILE).join(NAME)
}
