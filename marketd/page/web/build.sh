#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the page's files, or says why there are none: a build without npm is a build all the same.
#
# usage: build.sh WORK_DIR OUTPUT_DIR
set -eu
work=$1 out=$2
here=$(dirname "$(readlink -f "$0")")

without() {
  echo "nom: marketd's page is not built: $1; marketd itself is" >&2
  rm -rf "$out"
  exit 0
}

npm=$(command -v npm) || without "there is no npm"
mkdir -p "$work"
cp -r "$here/package.json" "$here/package-lock.json" "$here/build.mjs" "$here/src" "$work"
cd "$work"
# Once for each lock file. From npm's cache where it has all, else from the registry; nothing of a package is run.
if ! cmp -s package-lock.json installed.lock; then
  "$npm" ci --prefer-offline --ignore-scripts --no-audit --no-fund --fetch-retries=1 --fetch-timeout=60000 \
    >npm.log 2>&1 || { tail -n 5 npm.log >&2; without "npm ci failed (log: $work/npm.log)"; }
  cp package-lock.json installed.lock
fi
# From here on a failure is ours.
node build.mjs "$out"
