#!/bin/sh
# Installs what building and testing need from Debian, and only what is missing. Rust, Python 3 and Node with
# npm are expected to be there.
#
#   scripts/setup.sh          what `make demo` and `make test` need
#   scripts/setup.sh bench    also the peers that `make bench` compares with
#   scripts/setup.sh peers    also the engines of tests/peers
#   scripts/setup.sh vm       also what the machine of tests/vm is made of
#
# Several such words may be given.
set -eu

wanted="gcc g++ make pkg-config python3 python3-venv
  busybox-static docker-registry umoci skopeo buildah uidmap iproute2 apache2-utils tmux valgrind"
for what in "$@"; do
  case "$what" in
    bench) wanted="$wanted runc crun bubblewrap" ;;
    peers) wanted="$wanted podman catatonit docker.io tini containerd runc crun" ;;
    vm) wanted="$wanted qemu-system-x86 qemu-system-common debootstrap e2fsprogs" ;;
    *) echo "unknown: $what" >&2; exit 2 ;;
  esac
done

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
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap '$as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
  fi
  $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -q -y --no-install-recommends $missing >/dev/null
fi

for tool in cargo node npm; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: install Rust (rustup) and Node 20 or newer" >&2; exit 1; }
done
