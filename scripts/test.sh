#!/bin/sh
# Every suite, then the leak check. The first failure of a suite is reported at the end; later suites still run.
set -u
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

scratch=$(mktemp -d)
# Tests keep their temporary files here, so that one that is forgotten shows.
inventory="$scratch/before.json"
export TMPDIR="$scratch/tmp"
mkdir "$TMPDIR"
# Tests that become an ordinary user must get to it, as they get to /tmp.
chmod 755 "$scratch"
chmod 1777 "$TMPDIR"
python3 tests/leaks/leaks.py snapshot "$inventory"

failed=""
suite() {
  name=$1
  shift
  echo "== $name"
  started=$(date +%s)
  "$@" || failed="$failed $name"
  echo "== $name took $(($(date +%s) - started)) s"
}

# Lint, C, Python, Node, the command line and the leak check join here once each has passed from a fresh clone;
# until then they are run by hand (scripts/lint.sh, bindings-c/tests/run.sh, pytest, npm test, tests/cli).
suite rust cargo test --release -p containers --lib --quiet
suite conformance cargo test --release -p containers --test conformance --quiet

rm -rf "$scratch"
if [ -n "$failed" ]; then
  echo "failed:$failed"
  exit 1
fi
echo "all suites passed"
