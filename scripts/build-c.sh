#!/bin/sh
# Builds the C interface: target/release/{libcontainers.so,libcontainers.a,containers.pc}, and checks that
# include/containers.h is current. Usage: scripts/build-c.sh [PREFIX]; with a prefix it installs there as well.
set -eu
cd "$(dirname "$0")/.."
prefix=${1:-}
target=${CARGO_TARGET_DIR:-target}
out=$target/release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# `make build` has built the whole workspace already; a package alone would be built with other features of its
# dependencies, and these once more.
[ -n "${CONTAINERS_BUILT:-}" ] || cargo build --release -p containers-c
# What the Rust standard library needs (rustc's `--print native-static-libs` for GNU/Linux); a test links with it.
libs="-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc"

# One object in which only ctr_* is global: nothing of the Rust runtime, SQLite or ring inside can collide with
# what the program links itself.
ar=$out/libcontainers.a
if [ "$(ar t "$ar" | wc -l)" -gt 1 ]; then
    ld -r --whole-archive "$ar" -o "$work/containers.o"
    # The bitcode that the standard library's objects carry is of no use here, and binutils' plugins trip over it.
    objcopy --wildcard --keep-global-symbol='ctr_*' --remove-section=.llvmbc --remove-section=.llvmcmd \
        "$work/containers.o"
    ar rcs "$work/libcontainers.a" "$work/containers.o"
    mv "$work/libcontainers.a" "$ar"
fi

pc() {
    sed -e "s|@PREFIX@|$1|" -e "s|@LIBDIR@|$2|" -e "s|@INCLUDEDIR@|$3|" -e "s|@LIBS_PRIVATE@|$libs|" \
        -e "s|@VERSION@|$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)|" bindings-c/containers.pc.in
}
here=$(pwd)
absolute=$(cd "$out" && pwd)
pc "$here" "$absolute" "$here/include" >"$out/containers.pc"

header=$(ls -t "$out"/build/containers-c-*/out/containers.h | head -n 1)
cmp -s "$header" include/containers.h || {
    echo "include/containers.h is not what the sources say; run:" \
        "UPDATE_HEADER=1 cargo test -p containers-c --test header" >&2
    exit 1
}

if [ -n "$prefix" ]; then
    mkdir -p "$prefix/lib/pkgconfig" "$prefix/include"
    cp "$out/libcontainers.so" "$out/libcontainers.a" "$prefix/lib/"
    cp include/containers.h "$prefix/include/"
    pc "$prefix" '${prefix}/lib' '${prefix}/include' >"$prefix/lib/pkgconfig/containers.pc"
fi
