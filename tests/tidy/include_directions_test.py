#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The include check finds what it is for: a planted wrong include of each kind, and none in a clean tree."""

import pathlib
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).with_name("include_directions.py")


def run(files: dict[str, str]) -> tuple[int, str]:
    with tempfile.TemporaryDirectory() as root:
        for i in range(20):  # Enough that it takes the folder for a tree.
            files.setdefault(f"policies/clearing/rule{i}.cc", '#include "policies/clearing/auction.h"\n')
        for name, text in files.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        done = subprocess.run([sys.executable, CHECK, root], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout


def expect(name: str, got: tuple[int, str], code: int, text: str) -> bool:
    ok = got[0] == code and text in got[1]
    print(f"{'ok  ' if ok else 'FAIL'} {name}" + ("" if ok else f": {got}"))
    return ok


def main() -> int:
    good = [
        expect("clean tree", run({}), 0, "all as they should be"),
        expect("policies knows nobody", run({"policies/a.cc": '#include "marketd/market/types.h"\n'}), 1,
               "policies/a.cc:1: policies may not know marketd/market/types.h"),
        expect("market does not know the ledger", run({"marketd/market/a.cc": '\n#include "marketd/ledger/x.h"\n'}), 1,
               "marketd/market/a.cc:2"),
        expect("the link does not know the book",
               run({"marketd/market/host_link.cc": '#include "marketd/market/live_book.h"\n'}), 1,
               "marketd/market/host_link.cc:1: this part may not know marketd/market/live_book.h"),
        expect("money does not know the link",
               run({"marketd/market/settlement.h": '#include "marketd/market/host_link.h"\n'}), 1,
               "this part may not know"),
        expect("the book does not know who decides",
               run({"marketd/market/live_book.h": '#include "marketd/market/rounds.h"\n'}), 1,
               "this part may not know"),
        expect("the engine knows its parts",
               run({"marketd/market/engine.cc": '#include "marketd/market/host_link.h"\n'}), 0, ""),
        expect("sqlite3.h belongs to the ledger", run({"marketd/market/a.cc": "#include <sqlite3.h>\n"}), 1,
               "belongs to marketd/ledger alone"),
        expect("nomhv does not know the services", run({"nomhv/core/a.h": '#include "nom/market/v1/market.pb.h"\n'}),
               1, "nomhv/core may not know proto"),
        expect("nobody knows a back end", run({"nomhv/x86/guests/a.cc": '#include "nomhv/x86/svm/vmcb.h"\n'}), 1,
               "nomhv/x86/guests may not know nomhv/x86/svm/vmcb.h"),
        expect("written from the root", run({"policies/a.cc": '#include "auction.h"\n'}), 1,
               "not written from the root"),
        expect("main.cc knows everybody", run({"marketd/main.cc": '#include "marketd/ledger/x.h"\n'}), 0, ""),
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
