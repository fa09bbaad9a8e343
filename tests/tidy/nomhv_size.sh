#!/usr/bin/env bash
# nomhv stays small enough to be read: fewer than 8000 lines of C++ and 500 of assembly.
set -euo pipefail
cd "$1/nomhv"
lines() { find . -type f "$@" -print0 | xargs -0 -r cat | wc -l; }
cxx=$(lines \( -name '*.cc' -o -name '*.h' \))
assembly=$(lines -name '*.S')
echo "nomhv: $cxx lines of C++ (below 8000), $assembly of assembly (below 500)"
((cxx > 0 && assembly > 0)) || { echo "nothing found below $PWD"; exit 1; }
((cxx < 8000 && assembly < 500))
