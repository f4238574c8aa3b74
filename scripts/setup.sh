#!/bin/sh
# Installs what building and testing need from Debian, and only what is missing. Rust, Python 3 and Node with
# npm are expected to be there.
#
#   scripts/setup.sh          what `make demo` and `make test` need
#   scripts/setup.sh bench    also the peers that `make bench` compares with
#   scripts/setup.sh vm       also what the machine of tests/vm is made of
set -eu

wanted="gcc g++ make pkg-config python3 python3-venv
  busybox-static docker-registry umoci skopeo buildah uidmap iproute2 apache2-utils tmux valgrind"
case "${1:-}" in
  bench) wanted="$wanted runc crun bubblewrap" ;;
  vm) wanted="$wanted qemu-system-x86 qemu-system-common debootstrap e2fsprogs" ;;
esac

missing=""
for package in $wanted; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  echo "installing:$missing"
  as_root=""
  [ "$(id -u)" = 0 ] || as_root=sudo
  $as_root apt-get update -q >/dev/null
  # No services are started: the tests start their own, on loopback, and stop them.
  $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -q -y --no-install-recommends $missing >/dev/null
fi

for tool in cargo node npm; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: install Rust (rustup) and Node 20 or newer" >&2; exit 1; }
done
