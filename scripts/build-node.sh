#!/bin/sh
# Builds the Node package in place: afterwards require('./bindings-node') works, and require('containers') below
# examples/. `--debug` builds the unoptimised addon. Run it again at any time.
set -eu
cd "$(dirname "$0")/.."

profile=release
set -- "${1:-}"
[ "$1" = --debug ] && profile=debug
if [ -n "${CONTAINERS_BUILT:-}" ]; then
    : # by `make build`, with the whole workspace
elif [ "$profile" = release ]; then
    cargo build --release --package containers-node
else
    cargo build --package containers-node
fi

# Renamed into place: a running Node keeps the file that it has mapped.
cp "${CARGO_TARGET_DIR:-target}/$profile/libcontainers_node.so" bindings-node/containers.node.new
mv bindings-node/containers.node.new bindings-node/containers.node

# The package is `embedded-containers` on the registry; the examples call it by the name that users give it
# (`npm install containers@npm:embedded-containers`).
mkdir -p examples/node/node_modules
ln -sfn ../../../bindings-node examples/node/node_modules/containers

# Tools that check the types; the package itself needs none of them.
lock=bindings-node/package-lock.json
installed=bindings-node/node_modules/.package-lock.json
if [ ! -e "$installed" ] || [ "$lock" -nt "$installed" ]; then
    (cd bindings-node && npm ci --ignore-scripts --no-progress) && touch "$installed"
fi
