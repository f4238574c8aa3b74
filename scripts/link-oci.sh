#!/bin/sh
# The linker of containers-oci: `cc`, told to put the functions of cli/oci/order/functions.txt beside each other, and the objects
# of objects.txt. They are what a container's start executes and writes to, a tenth of the program; spread over all of it, each of
# them would be a page fault. Where the linker is not LLVM's, which takes such a list, or there is no `nm`, the program is linked
# as any other. Segments begin at multiples of the 64 KiB that the kernel maps for one fault.
set -eu
lists=$(dirname "$0")/../cli/oci/order
object=
lld=
for argument; do
    case $argument in
        *.rcgu.o) object=${object:-$argument} ;;
        -fuse-ld=lld) lld=yes ;;
    esac
done
if [ -z "$object" ] || [ -z "$lld" ] || ! command -v nm >/dev/null; then
    exec "${CC:-cc}" "$@"
fi
cat "$lists/functions.txt" "$lists/objects.txt" >"$object.list"
# The list has names as people read them: those in the object have hashes in them, which change with compilers and versions.
# Names of the C library, which is in no object, stay as they are.
nm --no-sort --defined-only "$object" >"$object.names"
nm --no-sort --defined-only --demangle "$object" | paste -d '\n' "$object.names" - | LIST=$object.list awk '
    NR % 2 { mangled = $3; next }
    { sub(/^[0-9a-f]* . /, ""); known[$0] = known[$0] "\n" mangled }
    END {
        while ((getline name < ENVIRON["LIST"]) > 0) {
            if (name in known) print substr(known[name], 2)
            else if (name !~ /::/) print name
        }
    }' >"$object.order"
rm "$object.names" "$object.list"
exec "${CC:-cc}" "$@" -Xlinker "--symbol-ordering-file=$object.order" -Xlinker --no-warn-symbol-ordering \
    -Xlinker -z -Xlinker separate-loadable-segments -Xlinker -z -Xlinker max-page-size=65536
