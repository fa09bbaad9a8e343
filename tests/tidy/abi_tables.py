#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds nomhv/ABI.md against the headers: each row of each X-macro list stands in the document, with its number.

usage: abi_tables.py ROOT
"""

import pathlib
import re
import sys

# List macro -> the prefix of its names in the document, and its header.
LISTS = {
    "NOM_STATUS_LIST": ("NOM_STATUS_", "version.h"),
    "NOM_IMAGE_FAULT_LIST": ("NOM_IMAGE_FAULT_", "version.h"),
    "NOM_EXIT_REASON_LIST": ("NOM_EXIT_REASON_", "version.h"),
    "NOM_CALL_LIST": ("NOM_CALL_", "guest.h"),
    "NOM_COMMAND_LIST": ("NOM_COMMAND_", "mailbox.h"),
    "NOM_EXIT_LIST": ("NOM_EXIT_", "mailbox.h"),
}


def rows_of(header: str, macro: str) -> dict[str, int]:
    body = re.search(r"#define " + macro + r"\(X\)((?:.*\\\n)*.*\n)", header)
    if not body:
        return {}
    return {m.group(1): int(m.group(2)) for m in re.finditer(r"X\((\w+),\s*(\d+)", body.group(1))}


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    document = (root / "nomhv/ABI.md").read_text()
    rows = [line for line in document.splitlines() if line.startswith("|")]
    wrong = []
    for macro, (prefix, file) in LISTS.items():
        listed = rows_of((root / "nomhv/abi" / file).read_text(), macro)
        if not listed:
            wrong.append(f"{file}: {macro} not found")
        for name, number in listed.items():
            named = [r for r in rows if re.search(rf"\b{prefix}{name}\b", r)]
            if not named:
                wrong.append(f"ABI.md: no row for {prefix}{name} ({number})")
            elif not any(re.search(rf"\|\s*{number}\s*\|", r) for r in named):
                wrong.append(f"ABI.md: {prefix}{name} is {number} in {file}; its row says otherwise: {named[0]}")
        # What the document names must exist.
        for row in rows:
            for name in re.findall(rf"`{prefix}([A-Z_]+)`", row):
                if name not in listed and not any(
                        f"{prefix}{name}".startswith(other) and other != prefix for other, _ in LISTS.values()):
                    wrong.append(f"ABI.md: {prefix}{name} is in no list")
    version = (root / "nomhv/abi/version.h").read_text()
    major = re.search(r"NOM_ABI_MAJOR (\d+)u", version).group(1)
    minor = re.search(r"NOM_ABI_MINOR (\d+)u", version).group(1)
    if not re.search(rf"\b{major}\.{minor}\b", document):
        wrong.append(f"ABI.md does not name the version {major}.{minor}")
    print("\n".join(wrong) or "ABI.md and the headers agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
