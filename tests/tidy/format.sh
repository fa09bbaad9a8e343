#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One dialect: every C and C++ file of ours is as clang-format would write it.
set -euo pipefail
cd "$1"
mapfile -t files < <(find policies marketd nomhv client bench tests -name '*.cc' -o -name '*.h' -o -name '*.c' | sort)
((${#files[@]} >= 20)) || { echo "only ${#files[@]} files found below $1"; exit 1; }
clang-format-14 --dry-run -Werror "${files[@]}"
echo "${#files[@]} files as clang-format writes them"
