#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a manual page of what a program says of itself: its --help, and that of each of its commands.

usage: make_man.py PROGRAM SECTION OUTPUT
"""

import pathlib
import re
import subprocess
import sys


def help_of(program: str, command: list[str]) -> str:
    return subprocess.run([program, *command, "--help"], check=True, capture_output=True, text=True).stdout


def commands_in(text: str) -> list[str]:
    """The names that a help text lists below "Subcommands:"."""
    listed = text.partition("\nSubcommands:\n")[2].partition("\n\n")[0]
    return re.findall(r"^  ([a-z][a-z-]*)(?:\s|$)", listed, re.MULTILINE)


def all_commands(program: str, above: list[str]) -> list[tuple[list[str], str]]:
    """(command, help) of the program itself and of all commands below, in the order of the help."""
    text = help_of(program, above)
    out = [(above, text)]
    for name in commands_in(text):
        if name != "help":
            out += all_commands(program, [*above, name])
    return out


def roff(text: str) -> str:
    lines = []
    for line in text.rstrip().splitlines():
        line = line.replace("\\", "\\e").replace("-", "\\-")
        lines.append("\\&" + line if line[:1] in (".", "'") else line)
    return "\n".join(lines)


def main() -> int:
    program, section, output = sys.argv[1:]
    name = pathlib.Path(program).name
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    texts = all_commands(program, [])
    summary = {"nomctl": "nom's market from the command line", "marketd": "the clearing house of nom"}[name]
    page = [f'.TH {name.upper()} {section} "" "nom {version}"', ".SH NAME", f"{name} \\- {summary}"]
    for command, text in texts:
        page += [".SH " + (" ".join(command).upper() if command else "DESCRIPTION"), ".nf", roff(text), ".fi"]
    pathlib.Path(output).write_text("\n".join(page) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
