#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when an #include points the wrong way: who may know whom, as a table.

usage: include_directions.py ROOT
"""

import pathlib
import re
import sys

# Folder -> folders of ours that its files may include. The longest match wins on both sides; a folder may always
# include itself and what lies below it.
MAY_KNOW = {
    "policies": [],
    "proto": [],
    "policies/cases": ["policies"],
    "policies/units": [],
    "nomhv/abi": [],
    "nomhv/core": ["nomhv/abi"],
    "nomhv/x86/platform": ["nomhv/abi", "nomhv/core", "nomhv/x86/iommu/iommu.h"],
    "nomhv/x86/iommu": ["nomhv/abi", "nomhv/core", "nomhv/x86/platform"],
    # Behind virtualization.h there is a back end; nobody looks there.
    "nomhv/x86/guests": ["nomhv/abi", "nomhv/core", "nomhv/x86/platform", "nomhv/x86/iommu", "nomhv/x86/control/dispatch.h",
                         "nomhv/x86/pc/pc.h"],
    # What else a guest finds that is a PC.
    "nomhv/x86/pc": ["nomhv/abi", "nomhv/core", "nomhv/x86/platform", "nomhv/x86/guests"],
    "nomhv/x86/svm": ["nomhv/abi", "nomhv/core", "nomhv/x86/platform", "nomhv/x86/guests"],
    "nomhv/x86/control": ["nomhv/abi", "nomhv/core", "nomhv/x86/platform", "nomhv/x86/guests", "nomhv/x86/pc"],
    "nomhv/x86/boot": ["nomhv"],  # main.cc alone knows everybody.
    "client": ["client", "proto", "nomhv/abi", "policies/bidding"],
    "client/include/nom": ["policies/bidding"],
    "client/cli": ["client", "proto", "nomhv/abi", "policies/bidding", "policies/clearing", "policies/cases",
                   "policies/units"],
    "marketd/base": ["policies"],
    # What the operator says of a host is read into its own options.
    "marketd/config": ["marketd/base", "marketd/host/linux", "marketd/host/nomhv/options.h", "marketd/market", "policies"],
    "marketd/market": ["marketd/base", "policies"],
    "marketd/ledger": ["marketd/market", "marketd/base", "policies"],
    "marketd/host": ["marketd/market", "marketd/base", "nomhv/abi", "policies"],
    "marketd/host/simulated": ["marketd/market", "marketd/base", "policies"],
    "marketd/http": ["marketd/base"],
    "marketd/journal": ["marketd/market", "marketd/base", "policies"],
    "marketd/metrics": ["marketd/http", "marketd/market", "marketd/base", "policies"],
    "marketd/page": ["marketd/http", "marketd/services", "marketd/server", "marketd/market", "marketd/base", "proto",
                     "policies"],
    "marketd/services": ["marketd/market", "marketd/base", "marketd/server", "proto", "policies"],
    "marketd/server": ["marketd/market", "marketd/base", "proto", "policies"],
    "marketd": ["marketd", "proto", "nomhv/abi", "policies"],  # main.cc alone knows everybody.
    "cmake": [],
    "bench": ["bench", "policies", "marketd", "nomhv", "client", "proto", "tests"],
    "tests": ["tests", "bench", "policies", "marketd", "nomhv", "client", "proto"],
}
# Library headers that one folder alone may see.
OWNED = {
    "prometheus/": ["marketd/metrics", "tests"],
    "microhttpd.h": ["marketd/http"],
    "sqlite3.h": ["marketd/ledger", "bench/marketd", "tests"],
    "grpcpp/": ["marketd/server", "marketd/services", "client/src", "client/cli", "client/testing", "client/examples", "tests",
                "bench", "marketd/metrics"],
    "yaml-cpp/": ["marketd/config", "policies/cases", "tests"],
}
# What everybody may know: which build this is, and what a program does first.
COMMON = ("cmake/build_info", "cmake/standard_files")
# Parts of one folder that may not know each other, by the names of their files: each part can be read, changed and
# tested without those that it does not know.
MARKET = "marketd/market/"
DECIDES = ("round_clock", "rounds", "guest_lives", "reconciler", "bid_desk", "bid_pages", "calls", "engine", "bid_leases",
           "notices", "tokens", "view_builder", "runtime")
BOOK = ("live_book", "outbox", "view_changes", "promises")
LINK = ("host_link", "host_market")
MONEY = ("accounts", "money", "billing", "settlement", "contracts")
PARTS = [
    (LINK[:1] + ("holdings",), MONEY + BOOK + DECIDES + ("host_market", "state", "transaction", "shares")),
    (MONEY, LINK + DECIDES + ("live_book", "outbox", "view_changes")),
    (BOOK, LINK + DECIDES),
    (("bid_leases", "notices", "round_clock", "schedule", "bid_pages"), LINK + MONEY + BOOK + ("rounds", "calls", "engine")),
    (("host_market",), DECIDES[1:5] + ("calls", "engine", "settlement")),
]
# Libraries whose own habit is quotes.
QUOTED_LIBRARIES = ("absl/", "gtest/", "gmock/", "google/", "grpcpp/", "prometheus/", "yaml-cpp/", "benchmark/", "CLI/")
TOP = ("policies", "nomhv", "client", "marketd", "proto", "bench", "tests", "cmake")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def longest(path: str, folders) -> str | None:
    matches = [f for f in folders if within(path, f)]
    return max(matches, key=len) if matches else None


def target_of(include: str, source: str) -> str | None:
    """The folder of ours that an include names, or None for a system header."""
    if include.startswith(("nom/market/", "nom/operators/", "nom/page/")):
        return "proto"
    if include.startswith("nom/"):
        return "client/include/nom"
    top = include.split("/")[0]
    return include if top in TOP else None


def not_for(source: str, target: str) -> bool:
    """Whether both are parts of one folder, and the one may not know the other."""
    if not source.startswith(MARKET) or not target.startswith(MARKET):
        return False
    part, other = (pathlib.PurePosixPath(path).stem for path in (source, target))
    return part != other and any(part in parts and other in strangers for parts, strangers in PARTS)


def check(root: pathlib.Path) -> list[str]:
    wrong = []
    seen = 0
    for top in TOP:
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in (".h", ".cc", ".c", ".S"):
                continue
            seen += 1
            source = path.relative_to(root).as_posix()
            folder = longest(source, MAY_KNOW)
            if folder is None:
                wrong.append(f"{source}: no rule for its folder; add one to {sys.argv[0]}")
                continue
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                include = match.group(2)
                for owned, owners in OWNED.items():
                    if include.startswith(owned) and not any(within(source, o) for o in owners):
                        wrong.append(f"{source}:{number}: {include} belongs to {owners[0]} alone")
                target = target_of(include, source)
                if target is None:
                    if match.group(1) == '"' and not include.startswith(QUOTED_LIBRARIES):
                        wrong.append(f'{source}:{number}: "{include}" is not written from the root')
                    continue
                if any(within(target, each) for each in COMMON):
                    continue
                if within(target, folder) and longest(target, MAY_KNOW) == folder:
                    if not_for(source, target):
                        wrong.append(f"{source}:{number}: this part may not know {target}")
                    continue
                if not any(within(target, may) for may in MAY_KNOW[folder]):
                    wrong.append(f"{source}:{number}: {folder} may not know {target}")
    if seen < 20:
        wrong.append(f"only {seen} files found below {root}: is this the root?")
    return wrong


def main() -> int:
    wrong = check(pathlib.Path(sys.argv[1]).resolve())
    print("\n".join(wrong) or "include directions: all as they should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
