//! Where the program is linked as `scripts/build-oci.sh` does it, it begins at a place of its own: see `src/start`.

use std::env::var;

fn main() {
    for read in ["build.rs", "order/functions.txt", "order/objects.txt", "../../scripts/link-oci.sh"] {
        println!("cargo:rerun-if-changed={read}");
    }
    println!("cargo:rustc-check-cfg=cfg(own_start)");
    let has = |name: &str, wanted: &str| {
        var(name).is_ok_and(|value| value.split([',', '\x1f']).any(|v| v == wanted))
    };
    // Nothing may have to be relocated before, or loaded besides.
    let fixed = has("CARGO_ENCODED_RUSTFLAGS", "-Crelocation-model=static");
    let alone = has("CARGO_CFG_TARGET_FEATURE", "crt-static") && has("CARGO_CFG_TARGET_ENV", "gnu");
    if fixed && alone && has("CARGO_CFG_TARGET_ARCH", "x86_64") {
        println!("cargo:rustc-cfg=own_start");
        println!("cargo:rustc-link-arg-bins=-Wl,-e,containers_oci_start");
    }
}
