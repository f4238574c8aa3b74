"""The functions that hold addresses: `list.py NAMES ADDRESSES...`, with NAMES from `nm --numeric-sort --demangle`.

Prints those with addresses in the most files first, then as they stand in the program.
"""

import sys
from bisect import bisect_right
from pathlib import Path


def main(names: str, *files: str) -> None:
    """Prints the list."""
    functions: list[tuple[int, str]] = []
    for line in Path(names).read_text().splitlines():
        address, kind, name = line.split(" ", 2)
        if kind in "tTwWi":
            functions.append((int(address, 16), name))
    begins = [address for address, _ in functions]
    reached: dict[int, int] = {}
    for file in files:
        found = {bisect_right(begins, int(line, 16)) - 1 for line in Path(file).read_text().split()}
        for index in found:
            reached[index] = reached.get(index, 0) + 1
    for index in sorted(reached, key=lambda index: (-reached[index], index)):
        # Several names may stand for one address.
        print(*(name for begin, name in functions if begin == begins[index]), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
