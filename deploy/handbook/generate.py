#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes deploy/handbook/reference from the sources: configuration, metrics, commands, API.

usage: generate.py SOURCE_DIR NOMCTL MARKETD OUTPUT_DIR            writes
       generate.py --check SOURCE_DIR NOMCTL MARKETD OUTPUT_DIR    fails if what is there is out of date
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "man"))
from make_man import all_commands  # noqa: E402

MADE = "<!-- Made by deploy/handbook/generate.py (ninja handbook_reference). Change what it is made of. -->\n"


def config(source: pathlib.Path) -> str:
    sample = (source / "deploy/marketd.yaml").read_text()
    return (f"{MADE}\n# Configuration of marketd\n\nOne YAML file; an unknown key is an error with its line. This is the file that the package "
            f"installs, with every key\nthere is (a test holds it to the parser):\n\n```yaml\n{sample}```\n")


def metrics(source: pathlib.Path) -> str:
    table = re.sub(r"\s*\\\n\s*", " ", (source / "marketd/metrics/table.h").read_text())
    string = r'"((?:[^"\\]|\\.|" ")*)"'
    rows = re.findall(rf'X\(k\w+, {string}, k(\w+), {string}, {string}\)', table)
    if len(rows) < 30:
        raise SystemExit(f"only {len(rows)} metrics found in marketd/metrics/table.h: has its form changed?")
    out = [MADE, "\n# Metrics of marketd\n", "\nOn `/metrics` of `metrics_listen`, for Prometheus. Money is in credits (a million micro-credits).\n",
           "\n| name | type | labels | meaning |\n|---|---|---|---|\n"]
    for name, kind, labels, text in rows:
        text = text.replace('" "', "")
        out.append(f"| `{name}` | {kind.lower()} | {', '.join(f'`{label}`' for label in labels.split())} | {text} |\n")
    return "".join(out)


def cli(programs: list[str]) -> str:
    out = [MADE, "\n# Commands\n\nWhat the programs say of themselves; `man nomctl` and `man marketd` have the same.\n"]
    for program in programs:
        name = pathlib.Path(program).name
        for command, text in all_commands(program, []):
            out.append(f"\n{'###' if command else '##'} {' '.join([name, *command])}\n\n```text\n{text.strip()}\n```\n")
    return "".join(out)


def api(source: pathlib.Path) -> str:
    out = [MADE, "\n# API\n\ngRPC, with a bearer token in the metadata `authorization`. The messages are in the files named here, which the package "
           "libnom-dev\ninstalls in `/usr/share/nom/proto`; each field's meaning stands beside it there.\n"]
    for proto in sorted((source / "proto").rglob("*.proto")):
        text = proto.read_text()
        service = re.search(r"^service (\w+) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
        package = re.search(r"^package ([\w.]+);", text, re.MULTILINE)
        if not service or not package:
            continue
        out.append(f"\n## {package.group(1)}.{service.group(1)}\n\n[`proto/{proto.relative_to(source / 'proto')}`]"
                   f"(../../../proto/{proto.relative_to(source / 'proto')})\n")
        comment: list[str] = []
        for line in service.group(2).splitlines():
            line = line.strip()
            if line.startswith("//"):
                comment.append(line[2:].strip())
            elif rpc := re.match(r"rpc (\w+)\((.*?)\) returns \((.*?)\)", line):
                name, request, response = rpc.groups()
                out.append(f"\n### {name}\n\n`{request}` → `{response}`\n")
                if comment:
                    out.append("\n" + "\n".join(comment) + "\n")
                comment = []
            elif not line:
                comment = []
    return "".join(out)


def main() -> int:
    arguments = sys.argv[1:]
    check = arguments[0] == "--check"
    source, nomctl, marketd, output = arguments[1:] if check else arguments
    source, output = pathlib.Path(source), pathlib.Path(output)
    pages = {"config.md": config(source), "metrics.md": metrics(source), "cli.md": cli([nomctl, marketd]), "api.md": api(source)}
    stale = []
    for name, text in pages.items():
        text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
        file = output / name
        if check:
            if not file.exists() or file.read_text() != text:
                stale.append(str(file))
        else:
            output.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    if stale:
        print("out of date: " + ", ".join(stale) + "\nWhat to do: ninja -C build/dev handbook_reference, and commit what changed")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
