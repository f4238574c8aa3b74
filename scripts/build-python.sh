#!/bin/sh
# Builds the Python wheel and installs it into .venv, which is made with its pinned tools when it is missing.
# `--debug` builds the unoptimised extension. Run it again at any time.
set -eu
cd "$(dirname "$0")/.."

profile=--release
[ "${1:-}" = --debug ] && profile="--profile dev"

requirements=bindings-python/requirements-dev.txt
stamp=.venv/.requirements
if ! .venv/bin/python -c '' 2>/dev/null; then
    rm -rf .venv
    python3 -m venv .venv
fi
if ! cmp -s "$requirements" "$stamp"; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$stamp"
fi

wheels="${CARGO_TARGET_DIR:-target}/wheels"
# Only the new one is left, whatever versions were built before.
rm -f "$wheels"/embedded_containers-*.whl
# shellcheck disable=SC2086 # The profile is two words in a debug build.
.venv/bin/maturin build --quiet $profile --locked --manifest-path bindings-python/Cargo.toml --out "$wheels"

# An extension from `maturin develop` beside the sources would be another one than the wheel's.
rm -f bindings-python/python/containers/_containers*.so
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall \
    "$wheels"/embedded_containers-*.whl
