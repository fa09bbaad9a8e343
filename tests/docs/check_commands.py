#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails where a page, or a program's own help, shows a command line that its program does not take.

usage: check_commands.py SOURCE_DIR NOMCTL NOM_RESIZER WORK_DIR

run_pages.py runs what stands in blocks marked sh, with all that it needs. This takes every other line that begins with a
program of ours, in every page and in the reference, which has the help of all commands, and gives it to the program where no
market answers: it must get as far as to find that out, or to the end, and not be told that it is typed wrong (exit code 2).
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

FENCE = re.compile(r"^```(.*)$")
LINE = re.compile(r"^\s*(?:\$ )?(?:sudo )?((?:nomctl|nom-resizer) .*)$")
# In a help text what a line does stands behind it, two blanks apart at the least; on a page behind a #.
WHAT_IT_DOES = re.compile(r"\s{2,}[^-\s].*$|\s+# .*$")
# Changes the machine that it runs on; the tests named run it in one of its own.
ELSEWHERE = {"nomctl host init": "linux_market_kills, test_ops_systemd"}
NOBODY = "127.0.0.1:1"


def commands(page: pathlib.Path):
    """(line, command) of each command in a fenced block that run_pages.py does not run."""
    info, pending, begin = None, "", 0
    is_reference = page.parent.name == "reference"
    for number, text in enumerate(page.read_text().splitlines(), 1):
        fence = FENCE.match(text)
        if fence:
            info = None if info is not None else fence.group(1).split() or ["text"]
            continue
        # In the reference, what begins at the first column is prose.
        if info is None or info == ["sh"] or (is_reference and not text.startswith("  ")):
            continue
        line = LINE.match(text)
        if pending:
            pending += " " + text.strip()
        elif line:
            begin, pending = number, WHAT_IT_DOES.sub("", line.group(1))
        if pending.endswith("\\"):
            pending = pending[:-1].strip()
        elif pending:
            yield begin, pending
            pending = ""


def main() -> int:
    source, nomctl, resizer, work = (pathlib.Path(a).resolve() for a in sys.argv[1:])
    shutil.rmtree(work, ignore_errors=True)
    (work / "bin").mkdir(parents=True)
    # Files that examples read.
    (work / "policies").symlink_to(source / "policies")
    shutil.copy(source / "policies/cases/worked_example.yaml", work / "auction.yaml")
    (work / ".config/fish/completions").mkdir(parents=True)
    for name, program, options in (("nomctl", nomctl, "--timeout 0.5"), ("nom-resizer", resizer, "")):
        wrapper = work / "bin" / name
        wrapper.write_text(f'#!/bin/sh\nexec timeout -k 1 20 {program} {options} "$@"\n')
        wrapper.chmod(0o755)
    environment = {"PATH": f"{work}/bin:/usr/bin:/bin", "HOME": str(work), "NOM_TARGET": NOBODY, "LC_ALL": "C.UTF-8"}
    wrong, ran = [], set()
    for page in sorted(p for p in source.rglob("*.md") if "build" not in p.relative_to(source).parts):
        for line, command in commands(page):
            # zsh's own variable, in another shell.
            if command in ran or "${fpath" in command or any(
                    command.startswith(each) and "--dry-run" not in command for each in ELSEWHERE):
                continue
            ran.add(command)
            here = command.replace("127.0.0.1:7070", NOBODY).replace("/etc/nom/", f"{work}/")
            for token in re.findall(r"--token-file (\S+)", here):
                path = work / token
                path.write_text("a-token-of-nobody\n")
                path.chmod(0o600)
            done = subprocess.run(["bash", "-c", here], cwd=work, env=environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode not in (0, 1, 3):
                wrong.append(f"{page.relative_to(source)}:{line}: {shlex.quote(command)} ends with {done.returncode}:\n"
                             + "\n".join(done.stdout.splitlines()[:4]))
    if len(ran) < 40:
        wrong.append(f"only {len(ran)} commands found: is this the root?")
    print("\n".join(wrong) or f"{len(ran)} command lines: their programs take each")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
