#!/bin/sh
# Formats, lints, types, licences. Fails on any finding.
set -eu
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

cargo fmt --all -- --check
cargo clippy --release --workspace --all-targets --quiet -- -D warnings
scripts/build-oci.sh clippy
RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --quiet
cargo deny --locked --log-level error check licenses bans sources
ruff check .
ruff format --check .
(cd bindings-python && mypy)
# A folder at a time: several have modules of the same names. The table of cases has its comparisons beside the package.
export MYPYPATH="$PWD/bindings-python/python:$PWD/bindings-python/tests"
find tests benches examples cli -name '*.py' -exec dirname {} + | sort -u | while read -r folder; do
  programs=$(grep -lIs -d skip --exclude='*.py' '^#!/usr/bin/env python3' "$folder"/* || true)
  # shellcheck disable=SC2086 # There may be none, or several.
  mypy --strict --scripts-are-modules "$folder"/*.py $programs
done
(cd bindings-node && npm run --silent types)
