#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails where a page links to or names a file that is not there, an alert has no runbook, or nobody runs a command that a
page shows.

usage: check_pages.py SOURCE_DIR BUILD_DIR

README and the handbook are run by run_pages.py, block by block. On other pages a command stands in a block marked
`sh test=NAME`, of a test that runs it. What begins with nomctl or nom-resizer is check_commands.py's anywhere.
"""

import pathlib
import re
import subprocess
import sys

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"^\s*(\$ )?(sudo|marketd|\./nom|cmake|ctest|ninja|apt|apt-get|systemctl|journalctl|promtool|openssl|python3|build/\S+)\s")


def anchors(page: pathlib.Path) -> set[str]:
    """What GitHub makes of the headings."""
    out = set()
    for heading in re.findall(r"^#+ +(.*)$", page.read_text(), re.MULTILINE):
        text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
        out.add(text.replace(" ", "-"))
    return out


def unrun_commands(page: pathlib.Path, tests: set[str]):
    """What is wrong with the blocks of a page that is not run as a whole."""
    info, begin, unrun = None, 0, False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.startswith("```"):
            if info is None:
                info, begin, unrun = line[3:].split(), number, False
                continue
            named = [word[5:] for word in info if word.startswith("test=")]
            if info[:1] == ["sh"] or named:
                if not set(named) & tests:
                    yield f"{begin}: a block of commands names no test that runs them"
            elif unrun:
                yield f"{begin}: commands in a block that names no test: nobody runs them"
            info = None
        elif info is not None:
            unrun |= bool(COMMAND.match(line))


FILE = re.compile(r"`([\w./-]+\.(?:cc|h|proto|py|sh|js|mjs|cfg))`")


def unknown_files(page: pathlib.Path, sources: set[str]):
    """Source files that a page names, by any end of their paths, and that are none."""
    for name in sorted(set(FILE.findall(page.read_text()))):
        if "NAME" not in name and not any(("/" + source).endswith("/" + name.lstrip("./")) for source in sources):
            yield f"`{name}` is no file of ours"


def main() -> int:
    root = pathlib.Path(sys.argv[1]).resolve()
    listed = subprocess.run(["ctest", "--test-dir", sys.argv[2], "-N"], check=True, capture_output=True, text=True).stdout
    tests = set(re.findall(r"^ *Test +#\d+: (\S+)$", listed, re.MULTILINE))
    wrong = []
    pages = [p for p in root.rglob("*.md") if "build" not in p.relative_to(root).parts]
    sources = {str(p.relative_to(root)) for p in root.rglob("*") if p.suffix in
               {".cc", ".h", ".proto", ".py", ".sh", ".js", ".mjs", ".cfg"} and "build" not in p.relative_to(root).parts[:1]}
    for page in pages:
        wrong += [f"{page.relative_to(root)}: {what}" for what in unknown_files(page, sources)]
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        text = re.sub(r"`[^`\n]*`", "", text)
        for link in LINK.findall(text):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists():
                wrong.append(f"{page.relative_to(root)}: {link} leads nowhere")
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                wrong.append(f"{page.relative_to(root)}: {link}: no such heading")
        if page != root / "README.md" and root / "deploy/handbook" not in page.parents:
            wrong += [f"{page.relative_to(root)}:{what}" for what in unrun_commands(page, tests)]
    alerts = re.findall(r"- alert: (\w+)", (root / "deploy/prometheus/alerts.yaml").read_text())
    headings = anchors(root / "deploy/handbook/runbooks.md")
    wrong += [f"deploy/handbook/runbooks.md: no section for {a}" for a in alerts if a.lower() not in headings]
    # An event that a page or an alert sends people to look for is one that some source logs.
    sources = "".join(p.read_text() for p in (root / "marketd").rglob("*.cc"))
    logged = set(re.findall(r'"([a-z][a-z0-9_]+)"', sources))
    named = 0
    for page in [*pages, root / "deploy/prometheus/alerts.yaml"]:
        for event in re.findall(r"NOM_EVENT=([a-z0-9_]+)", page.read_text()):
            named += 1
            if event not in logged:
                wrong.append(f"{page.relative_to(root)}: NOM_EVENT={event} is logged nowhere")
    if named < 5:
        wrong.append(f"only {named} events of the log named: is this the root?")
    if len(pages) < 15 or len(alerts) < 5:
        wrong.append(f"only {len(pages)} pages and {len(alerts)} alerts found: is this the root?")
    print("\n".join(wrong) or f"{len(pages)} pages: every link leads somewhere, every alert has a runbook")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
