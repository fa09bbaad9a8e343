#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a source file does not say under which licence it may be copied.

usage: spdx.py ROOT [--fix]
  --fix  writes the line into the files that lack it

The line comes first, or second where the first one belongs to somebody else: an interpreter's, CMake's
@PACKAGE_INIT@ or HTML's doctype. Documents, data and pictures are covered by LICENSE alone.
"""

import pathlib
import subprocess
import sys

LINE = "SPDX-License-Identifier: Apache-2.0"
SLASHES, HASH, BLOCK, MARKUP = "// {}", "# {}", "/* {} */", "<!-- {} -->"
BY_SUFFIX = {
    **dict.fromkeys((".cc", ".h", ".proto", ".js", ".mjs", ".S"), SLASHES),
    **dict.fromkeys((".py", ".sh", ".cmake", ".supp", ".service", ".slice", ".sysusers", ".conf", ".cfg", ".list"), HASH),
    **dict.fromkeys((".ld", ".css"), BLOCK),
    ".html": MARKUP,
}
BY_NAME = {"CMakeLists.txt": HASH, "nom": HASH, ".clang-tidy": HASH, ".clang-format": HASH}
# Data: what tests feed to readers, and what stands for itself.
DATA = ("tests/fuzz/corpus/",)
FIRST = ("#!", "@PACKAGE_INIT@", "<!doctype", "<!DOCTYPE")


def comment_of(path: str, text: str) -> str | None:
    """How this file writes a comment, or nothing where it needs none."""
    if path.startswith(DATA):
        return None
    name = path.rsplit("/", 1)[-1]
    if name.endswith(".cc.in"):
        return SLASHES
    if name.endswith(".cmake.in"):
        return HASH
    if name in BY_NAME:
        return BY_NAME[name]
    suffix = pathlib.PurePosixPath(name).suffix
    if suffix in BY_SUFFIX:
        return BY_SUFFIX[suffix]
    if suffix == ".yaml" and path.startswith("deploy/"):
        return HASH
    return HASH if text.startswith("#!") else None


def main() -> int:
    root = pathlib.Path(sys.argv[1]).resolve()
    fix = "--fix" in sys.argv[2:]
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True, check=False).stdout
    # A tree that came without its history, as from an archive, has the same files below these.
    paths = [p for p in listed.split("\0") if p] or [
        p.relative_to(root).as_posix() for p in root.rglob("*")
        if p.is_file() and not {"build", "node_modules", ".git"} & set(p.relative_to(root).parts)]
    wrong, seen = [], 0
    for path in sorted(set(paths)):
        file = root / path
        if not file.is_file() or file.is_symlink():
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        comment = comment_of(path, text)
        if comment is None:
            continue
        seen += 1
        lines = text.split("\n")
        at = 1 if lines[0].startswith(FIRST) else 0
        want = comment.format(LINE)
        if len(lines) > at and lines[at] == want:
            continue
        if fix:
            lines.insert(at, want)
            file.write_text("\n".join(lines), encoding="utf-8")
        else:
            wrong.append(f"{path}:{at + 1}: wants the line \"{want}\"")
    if seen < 1000:
        wrong.append(f"only {seen} source files found below {root}: is this the root?")
    print("\n".join(wrong) or f"licence: {seen} files say it")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
