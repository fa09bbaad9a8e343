#!/usr/bin/env bash
# clang-tidy over the hosted sources that a build compiles. usage: clang_tidy.sh BUILD_DIR [PATH_REGEX]
set -euo pipefail
build=$1
regex=${2:-'/(policies|marketd|client|nomhv/core)/.*\.cc$'}
mapfile -t files < <(python3 - "$build/compile_commands.json" "$regex" <<'P'
import json, os, re, sys
commands = json.load(open(sys.argv[1]))
# Freestanding units are compiled with flags that clang 14 does not take.
files = {os.path.normpath(os.path.join(c["directory"], c["file"])) for c in commands if "-ffreestanding" not in c["command"]}
print("\n".join(sorted(f for f in files if re.search(sys.argv[2], f) and "/build/" not in f)))
P
)
((${#files[@]} > 0)) || { echo "no file matches $regex"; exit 1; }
printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "$(nproc)" clang-tidy-14 -p "$build" --quiet
echo "clang-tidy: ${#files[@]} files clean"
