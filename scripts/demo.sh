#!/bin/sh
# The main job, twice: this machine's own system in a sandbox, then an image from a registry that the demo starts.
set -eu
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PWD/target/release:$PATH"

CONTAINERS_ROOT=$(mktemp -d)
export CONTAINERS_ROOT
trap 'rm -rf "$CONTAINERS_ROOT"' EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say '$ containers run --rm host sh -c "id -un; echo pid \$\$ on \$(hostname); ls /"'
containers run --rm host sh -c 'id -un; echo pid $$ on $(hostname); ls /'

say '$ python examples/python/run.py'
python examples/python/run.py

say 'A registry on this machine, with a busybox image:'
python tests/registry/start.py --images oci -- sh -eu -c '
  echo "$TEST_IMAGE_OCI"
  printf "\n\033[1m$ containers pull %s\033[0m\n" "$TEST_IMAGE_OCI"
  containers pull "$TEST_IMAGE_OCI"
  printf "\n\033[1m$ containers images\033[0m\n"
  containers images
  printf "\n\033[1m$ containers run --rm -m 64m %s sh -c ...\033[0m\n" "$TEST_IMAGE_OCI"
  containers run --rm -m 64m "$TEST_IMAGE_OCI" sh -c "echo hello from \$(busybox | head -1)"
  printf "\n\033[1m$ python examples/python/pull.py %s\033[0m\n" "$TEST_IMAGE_OCI"
  python examples/python/pull.py "$TEST_IMAGE_OCI"
'
say 'Done; nothing is left running.'
