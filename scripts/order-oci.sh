#!/bin/sh
# Writes cli/oci/order/functions.txt anew: which functions the commands of a container's life execute, those of all commands
# first. For when `scripts/link-oci.sh` finds few of them any more; nothing but time depends on the list. Takes minutes, since
# each instruction is looked at. Needs root, gcc and busybox; x86-64 only.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
program=
trap '[ -z "$program" ] || "$program" --root "$work/root" delete --force ordered; rm -rf "$work"' EXIT
mkdir -p "$work/bundle/rootfs/bin"
cp "$(command -v busybox)" "$work/bundle/rootfs/bin/true"
cc -O2 -o "$work/record" cli/oci/order/record.c
CARGO_PROFILE_SMALL_STRIP=none CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/order scripts/build-oci.sh
program=${CARGO_TARGET_DIR:-target}/order/release/containers-oci
"$program" spec --bundle "$work/bundle"
sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"true"/' "$work/bundle/config.json"
range=$(readelf -SW "$program" | awk '$2 == ".text" || $3 == ".text" { sub(/.*\.text/, ""); print $2, $4 }')
first=${range% *}
last=$(printf '%x' $((0x$first + 0x${range#* })))

# Runs a command under the eyes of the recorder; the addresses go to a file of its name.
look() {
    "$work/record" "$first" "$last" "$program" --root "$work/root" "$@" 3>"$work/$1" >/dev/null
}
look run --bundle "$work/bundle" ordered
# Where there are cgroups of v1 too, once more without; and with a configuration as other programs write them, on one line, with a
# capability that can't be had as it is asked for.
mv "$work/run" "$work/run-here"
python3 - "$work/bundle/config.json" <<'END'
import json, sys
config = json.load(open(sys.argv[1]))
config["process"]["capabilities"].update(ambient=["CAP_KILL"], inheritable=[])
json.dump(config, open(sys.argv[1], "w"))
END
unshare --mount --propagation private sh -c 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"' - \
    "$work/record" "$first" "$last" "$program" --root "$work/root" run --bundle "$work/bundle" ordered \
    3>"$work/run" >/dev/null
look create --bundle "$work/bundle" ordered
look state ordered
look start ordered
look kill ordered KILL || true
look delete --force ordered
# Each function with the number of commands that reach it; more first, then as they stand in the program, where what was made
# from the same source is near.
nm --defined-only --numeric-sort --demangle "$program" >"$work/names"
python3 cli/oci/order/list.py "$work/names" "$work/run" "$work/run-here" "$work/create" "$work/state" "$work/start" "$work/kill" \
    "$work/delete" >"$work/functions"
mv "$work/functions" cli/oci/order/functions.txt
wc -l cli/oci/order/functions.txt
