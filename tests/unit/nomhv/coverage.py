#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which lines of nomhv/core its hosted tests run, by gcov; fails below a share of 90 %.

usage: coverage.py BUILD_DIR   (built by the preset `coverage`, tests run: ./nom coverage)
"""

import collections
import json
import pathlib
import subprocess
import sys

LEAST_PERCENT = 90


def lines_run(build: pathlib.Path, source: pathlib.Path) -> dict[str, dict[int, int]]:
    """For each file of nomhv/core: how often each line that is code was run, over all tests."""
    counts: dict[str, dict[int, int]] = collections.defaultdict(lambda: collections.defaultdict(int))
    for data in sorted(build.rglob("*.gcda")):
        shown = subprocess.run(["gcov", "--json-format", "--stdout", str(data)], capture_output=True, text=True, cwd=build,
                               check=True).stdout
        for document in shown.splitlines():
            for file in json.loads(document)["files"]:
                path = pathlib.Path(build, file["file"]).resolve()
                if path.parent != source / "nomhv/core":
                    continue
                for line in file["lines"]:
                    counts[path.name][line["line_number"]] += line["count"]
    return counts


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    counts = lines_run(build, pathlib.Path(__file__).resolve().parents[3])
    if not counts:
        print(f"{build}: no test has run: there are no *.gcda of nomhv/core")
        return 1
    total = run = 0
    for name, lines in sorted(counts.items()):
        missed = [number for number, count in sorted(lines.items()) if count == 0]
        total += len(lines)
        run += len(lines) - len(missed)
        print(f"{100 * (len(lines) - len(missed)) / len(lines):6.1f} %  {name}" + (f"  not run: {missed}" if missed else ""))
    print(f"{100 * run / total:6.1f} %  of {total} lines of nomhv/core (at least {LEAST_PERCENT})")
    return 0 if 100 * run >= LEAST_PERCENT * total else 1


if __name__ == "__main__":
    sys.exit(main())
