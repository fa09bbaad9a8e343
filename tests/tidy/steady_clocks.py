#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when marketd asks the wall clock for anything but what is shown: it can be set, and deadlines must not move.

usage: steady_clocks.py ROOT
"""

import pathlib
import re
import sys

# File -> why it may.
MAY_ASK = {
    "marketd/base/clock.cc": "it is where the steady clock is made",
    "marketd/base/log.cc": "lines of the log show it",
    "marketd/metrics/metrics.cc": "the start of the process is shown by it",
    "marketd/process.cc": "certificates are valid by it",
    "marketd/server/self_call.cc": "gRPC wants what is left as a time by it",
    "marketd/server/server.cc": "gRPC wants what is left as a time by it",
}
WALL = re.compile(r"\babsl::Now\(|\bsystem_clock::now\(|\bgettimeofday\(|\bCLOCK_REALTIME\b|\btime\((nullptr|NULL|0)\)")


def check(root: pathlib.Path) -> list[str]:
    wrong = []
    seen = set()
    files = [p for p in sorted((root / "marketd").rglob("*")) if p.suffix in (".h", ".cc")]
    for path in files:
        source = path.relative_to(root).as_posix()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if not WALL.search(line.split("//")[0]):
                continue
            if source in MAY_ASK:
                seen.add(source)
            else:
                wrong.append(f"{source}:{number}: asks the wall clock; Clock::Real() is steady")
    wrong += [f"{source}: no longer asks the wall clock; take it from the list" for source in MAY_ASK
              if source not in seen]
    if len(files) < 20:
        wrong.append(f"only {len(files)} files found below {root}/marketd: is this the root?")
    return wrong


def main() -> int:
    wrong = check(pathlib.Path(sys.argv[1]).resolve())
    print("\n".join(wrong) or "steady clocks: all as they should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
