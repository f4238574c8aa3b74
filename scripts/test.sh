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

tests() { python -m pytest -q -p no:cacheprovider --basetemp "$scratch/pytest" "$@"; }

suite lint scripts/lint.sh
suite rust cargo test --release --workspace --no-fail-fast --quiet
suite python tests bindings-python/tests
suite node sh -c 'cd bindings-node && npm test --silent'
suite cli tests tests/cli
suite oci-verbs tests tests/oci/verbs
suite oci-spec tests tests/oci/spec
suite peers tests tests/peers
suite vm tests/vm/run
suite leaks python3 tests/leaks/leaks.py diff "$inventory"

rm -rf "$scratch"
if [ -n "$failed" ]; then
  echo "failed:$failed"
  exit 1
fi
echo "all suites passed"
