#!/bin/sh
# Formats, lints, types, licences. Fails on any finding.
set -eu
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

cargo fmt --all -- --check
cargo clippy --release --workspace --all-targets --quiet -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --quiet
cargo deny --offline --log-level error check licenses bans sources
ruff check .
ruff format --check .
(cd bindings-python && mypy --strict python)
mypy --strict --scripts-are-modules tests benches examples/python
(cd bindings-node && npm run --silent types)
