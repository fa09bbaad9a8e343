#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-tidy over the sources that a build compiles, those for the bare machine included.
# usage: clang_tidy.sh BUILD_DIR [PATH_REGEX]
set -euo pipefail
build=$1
regex=${2:-'\.cc$'}
databases=$(mktemp -d)
trap 'rm -rf "$databases"' EXIT

# Some sources are compiled both ways, and clang-tidy would take a file each time that it is there: each way has a
# database of its own.
python3 - "$build/compile_commands.json" "$regex" "$databases" <<'P'
import json, os, re, sys
# What clang 14 does not take, or takes otherwise: it has no long double left then, and warns of constants.
ALIEN = {"-mgeneral-regs-only", "-fno-threadsafe-statics", "-fno-tree-loop-distribute-patterns",
         "-flto-partition=one", "-Wno-maybe-uninitialized", "-Wno-tsan"}
ways = {"hosted": [], "freestanding": []}
for command in json.load(open(sys.argv[1])):
    way = "freestanding" if "-ffreestanding" in command["command"].split() else "hosted"
    command["command"] = " ".join(word for word in command["command"].split() if word not in ALIEN)
    # g++'s precompiled headers: what a source does not include itself is missing then, and said.
    command["command"] = re.sub(r"-Winvalid-pch -include \S+", "", command["command"])
    ways[way].append(command)
for way, commands in ways.items():
    os.mkdir(f"{sys.argv[3]}/{way}")
    json.dump(commands, open(f"{sys.argv[3]}/{way}/compile_commands.json", "w"))
    files = {os.path.normpath(os.path.join(c["directory"], c["file"])) for c in commands}
    with open(f"{sys.argv[3]}/{way}/files", "w") as out:
        out.writelines(f"{f}\0" for f in sorted(files) if re.search(sys.argv[2], f) and "/build/" not in f)
P

# tidy WAY OPTION...
tidy() {
  local way=$1 found
  shift
  found=$(tr -cd '\0' <"$databases/$way/files" | wc -c)
  echo "clang-tidy: $found files, $way"
  files=$((files + found))
  ((found == 0)) || xargs -0 -n 4 -P "$(nproc)" clang-tidy-14 -p "$databases/$way" --quiet "$@" \
    <"$databases/$way/files" || bad=1
}
files=0 bad=0
tidy hosted
# Frames, boards and devices are numbers there before they are pointers.
tidy freestanding --checks=-performance-no-int-to-ptr
((files > 0)) || { echo "no file matches $regex"; exit 1; }
((bad == 0)) || exit 1
echo "clang-tidy: $files files clean"
