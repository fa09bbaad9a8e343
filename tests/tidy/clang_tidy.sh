#!/usr/bin/env bash
# clang-tidy over the hosted sources that a build compiles. usage: clang_tidy.sh BUILD_DIR [PATH_REGEX]
set -euo pipefail
build=$1
regex=${2:-'/(policies|marketd|client|nomhv/core)/.*\.cc$'}
database=$(mktemp -d)
trap 'rm -rf "$database"' EXIT
mapfile -t files < <(python3 - "$build/compile_commands.json" "$regex" "$database/compile_commands.json" <<'P'
import json, os, re, sys
# Freestanding units are compiled with flags that clang 14 does not take. Some sources are compiled
# both ways: a database without the freestanding way keeps clang-tidy from trying it as well.
commands = [c for c in json.load(open(sys.argv[1])) if "-ffreestanding" not in c["command"]]
json.dump(commands, open(sys.argv[3], "w"))
files = {os.path.normpath(os.path.join(c["directory"], c["file"])) for c in commands}
print("\n".join(sorted(f for f in files if re.search(sys.argv[2], f) and "/build/" not in f)))
P
)
((${#files[@]} > 0)) || { echo "no file matches $regex"; exit 1; }
printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "$(nproc)" clang-tidy-14 -p "$database" --quiet
echo "clang-tidy: ${#files[@]} files clean"
