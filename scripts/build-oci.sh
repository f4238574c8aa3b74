#!/bin/sh
# Builds containers-oci for use: one small static program without the engine, not position-independent (nothing to
# relocate at its start), optimised as a whole. `cargo build --release -p containers-oci` makes one that does the
# same, sooner, and starts later. `clippy` as an argument lints what is there only in such a build.
set -eu
cd "$(dirname "$0")/.."
target=$(rustc -vV | sed -n 's/^host: //p')
folder=${CARGO_TARGET_DIR:-target}
# Names of functions tell what they are made for, so that the linker can put those of a start beside each other.
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\037%s\037%s' -Ctarget-feature=+crt-static -Crelocation-model=static \
    -Csymbol-mangling-version=v0)
export CARGO_ENCODED_RUSTFLAGS
export "CARGO_TARGET_$(echo "$target" | tr 'a-z-' 'A-Z_')_LINKER=$PWD/scripts/link-oci.sh"
# What `--version` says; sources without their history say what is given here, or that it is unknown.
CONTAINERS_COMMIT=${CONTAINERS_COMMIT:-$(git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)}
export CONTAINERS_COMMIT
if [ "${1:-}" = clippy ]; then
    exec cargo clippy --profile small --package containers-oci --target "$target" --quiet -- -D warnings
fi
cargo build --profile small --package containers-oci --target "$target"
# Renamed into place: one that runs keeps its own.
mkdir -p "$folder/release"
cp "$folder/$target/small/containers-oci" "$folder/release/containers-oci.$$"
mv "$folder/release/containers-oci.$$" "$folder/release/containers-oci"
