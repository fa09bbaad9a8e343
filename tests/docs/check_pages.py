#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails where a page links to what is not there, or an alert has no runbook.

usage: check_pages.py SOURCE_DIR
"""

import pathlib
import re
import sys

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def anchors(page: pathlib.Path) -> set[str]:
    """What GitHub makes of the headings."""
    out = set()
    for heading in re.findall(r"^#+ +(.*)$", page.read_text(), re.MULTILINE):
        text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
        out.add(text.replace(" ", "-"))
    return out


def main() -> int:
    root = pathlib.Path(sys.argv[1]).resolve()
    wrong = []
    pages = [p for p in root.rglob("*.md") if "build" not in p.relative_to(root).parts]
    for page in pages:
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
