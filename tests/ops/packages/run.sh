#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Debian packages in a root of their own: installed, started, upgraded, removed, purged.
#
# usage: run.sh BUILD_DIR WORK_DIR
# Skips (77) where it can't make a root: without root's rights, mmdebstrap or packages to fetch. The bare root is made
# once (a minute) and kept in the build directory; a run takes some twenty seconds.
set -euo pipefail
build=$1 work=$2
skip() { echo "skipped: $*"; exit 77; }
die() { echo "FAILED: $*" >&2; exit 1; }
((EUID == 0)) || skip "a root is made and entered by root alone"
command -v mmdebstrap >/dev/null || skip "no mmdebstrap"

rm -rf "$work"
mkdir -p "$work"
market=   # The shell that waits for it,
marketd=  # and the process itself.
finish() {
  local code=$?
  # Whoever reads of a failure wants to know how marketd fared.
  if ((code != 0 && code != 77)) && [[ -s $work/marketd.log ]]; then
    if [[ -n $marketd ]] && ! kill -0 "$marketd" 2>/dev/null; then
      local ended=0
      wait "$market" || ended=$?
      echo "marketd has ended by itself, with $ended"
      marketd=
    fi
    echo "== the end of marketd's log =="
    tail -n 20 "$work/marketd.log"
  fi
  [[ -z $marketd ]] || kill -KILL "$marketd" 2>/dev/null || true
  rm -rf "$work/root"
  exit "$code"
}
trap finish EXIT
trap 'exit 143' TERM

# Packages of this version and of the next one, with the same in them.
version=$(sed -n 's/^set(CPACK_PACKAGE_VERSION "\(.*\)")$/\1/p' "$build/CPackConfig.cmake")
next=$version.1
for each in "$version" "$next"; do
  (cd "$build" && cpack -G DEB -D CPACK_PACKAGE_VERSION="$each" -B "$work/packages" >"$work/cpack.log" 2>&1) ||
    { cat "$work/cpack.log"; die "cpack of $each"; }
done
architecture=$(dpkg --print-architecture)
package() { echo "$work/packages/$1_$2_$architecture.deb"; }
packages=(nom-marketd nomctl libnom-dev nomhv)

# What the packages depend on is in the bare root, so that the tests themselves need no network.
depends=$(for name in nom-marketd nomctl libnom-dev; do dpkg-deb -f "$(package $name "$version")" Depends; done |
  tr ',' '\n' | sed 's/(.*//; s/|.*//; s/ //g' | grep . | sort -u | paste -sd,)
tar=$build/package-root.$(md5sum <<<"$depends" | cut -c1-8).tar
if [[ ! -s $tar ]]; then
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  timeout 400 mmdebstrap --quiet --format=tar --variant=minbase --include="$depends" "$suite" "$tar.new" >"$work/mmdebstrap.log" 2>&1 ||
    { rm -f "$tar.new"; tail -n 3 "$work/mmdebstrap.log"; skip "no packages to make a root of"; }
  mv "$tar.new" "$tar"
fi
root=$work/root
mkdir "$root"
tar -xf "$tar" -C "$root" --exclude='./dev/*'
mkdir -p "$root/dev" "$root/debs"
for device in "null c 1 3" "urandom c 1 9" "zero c 1 5"; do
  read -r name kind major minor <<<"$device"
  mknod -m 666 "$root/dev/$name" "$kind" "$major" "$minor" || skip "devices can't be made here"
done
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
install_packages() {
  local name files=()
  for name in "${packages[@]}"; do
    cp "$(package "$name" "$1")" "$root/debs/"
    files+=("/debs/${name}_$1_$architecture.deb")
  done
  inside apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold \
    "${files[@]}" >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; die "installing $1"; }
}
as_service() { inside setpriv --reuid=nom --regid=nom --clear-groups "$@"; }
is() { [[ $(inside stat -c '%U:%G %a' "$2") == "$1" ]] || die "$2 is $(inside stat -c '%U:%G %a' "$2"), not $1"; }

start_market() {
  rm -f "$root/var/lib/nom/ready"
  as_service /usr/bin/marketd --config /etc/nom/marketd.yaml --ready-file /var/lib/nom/ready >>"$work/marketd.log" 2>&1 &
  market=$!
  for ((n = 0; n < 600; n++)); do
    [[ ! -s $root/var/lib/nom/ready ]] || break
    kill -0 "$market" 2>/dev/null || { cat "$work/marketd.log"; die "marketd did not start"; }
    sleep 0.05
  done
  target=$(sed -n 's/^grpc=//p' "$root/var/lib/nom/ready")
  marketd=$(sed -n 's/^pid=//p' "$root/var/lib/nom/ready")
}
stop_market() {
  kill -TERM "$marketd"
  wait "$market" || die "marketd ended with $?"
  market= marketd=
}
nomctl() { inside nomctl --target "$target" --token-file /etc/nom/operator.token "$@"; }

echo "== install =="
install_packages "$version"
is "root:nom 750" /etc/nom
is "root:nom 640" /etc/nom/marketd.yaml
is "nom:nom 400" /etc/nom/operator.token
is "nom:nom 750" /var/lib/nom
for file in /usr/share/man/man1/nomctl.1 /usr/share/man/man8/marketd.8 /usr/lib/systemd/system/nom-marketd.service \
  /usr/share/bash-completion/completions/nomctl /usr/share/zsh/vendor-completions/_nomctl \
  /usr/share/fish/vendor_completions.d/nomctl.fish /usr/share/nom/prometheus/alerts.yaml \
  /usr/share/nom/prometheus/rules.yaml /usr/share/nom/grafana/nom.json /usr/lib/sysusers.d/nom.conf \
  /usr/share/doc/nom-marketd/handbook/first-bid.md /usr/share/nom/proto/nom/market/v1/market.proto \
  /usr/share/nom/proto/nom/operators/v1/operators.proto /usr/include/nom/session.h \
  /usr/lib/nom/nomhv.elf /usr/lib/nom/guests/cache.elf; do
  [[ -s $root$file ]] || die "$file is missing"
done
# The user is the one that sysusers made; the SDKs are found by CMake, and their archives are there.
grep -q '^nom:' "$root/etc/passwd" || die "there is no user nom"
for file in nomConfig.cmake libnom_client.a nomGuestConfig.cmake; do
  [[ -n $(find "$root/usr/lib" -name "$file" -size +0) ]] || die "$file is missing"
done
# The unit's own command lines, as its user: it can read what it is given.
as_service /usr/bin/marketd --check --config /etc/nom/marketd.yaml || die "marketd --check as the unit's user"
grep -q '^ExecStart=/usr/bin/marketd --config /etc/nom/marketd.yaml$' \
  "$root/usr/lib/systemd/system/nom-marketd.service" || die "the unit starts something else"
inside nomctl --version | grep -q "^nomctl $version " || die "nomctl --version"

echo "== start =="
# An administrator's change, which upgrades must keep. Port 0: others may run here.
sed -i 's/^listen: .*/listen: 127.0.0.1:0/; s/^metrics_listen: .*/metrics_listen: 127.0.0.1:0/
  s/^page_listen: .*/page_listen: 127.0.0.1:0/' "$root/etc/nom/marketd.yaml"
start_market
nomctl status >/dev/null || die "nomctl status"
# The page, where it was built.
if [[ -s $build/marketd/page/web/dist/index.html ]]; then
  curl -fsS "http://$(sed -n 's/^page=//p' "$root/var/lib/nom/ready")/" | grep -q '<title>nom market</title>' || die "the page is not served"
fi
nomctl tenant create shop --token-only >/dev/null
nomctl deposit shop 1.5cr
stop_market

echo "== upgrade =="
token=$(md5sum <"$root/etc/nom/operator.token")
install_packages "$next"
[[ $(inside dpkg-query -W -f '${Version}' nom-marketd) == "$next" ]] || die "the version is not $next"
grep -q '^listen: 127.0.0.1:0$' "$root/etc/nom/marketd.yaml" || die "the administrator's change is lost"
is "root:nom 640" /etc/nom/marketd.yaml
[[ $(md5sum <"$root/etc/nom/operator.token") == "$token" ]] || die "the operator's token is another one"
start_market
nomctl account --tenant shop | grep -q 1500000 || die "the money is gone"
nomctl audit >/dev/null || die "the books do not balance"
stop_market

echo "== remove =="
inside apt-get remove -y -qq "${packages[@]}" >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; die "remove"; }
[[ ! -e $root/usr/bin/marketd && ! -e $root/usr/include/nom && -s $root/etc/nom/marketd.yaml && -s $root/var/lib/nom/market.sqlite ]] ||
  die "remove left a program, or took configuration or books"

echo "== purge =="
inside apt-get purge -y -qq nom-marketd >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; die "purge"; }
[[ ! -e $root/etc/nom ]] || die "purge left $(ls "$root/etc/nom")"
[[ -s $root/var/lib/nom/market.sqlite ]] || die "purge took the books"
grep -q 'the books stay in /var/lib/nom' "$work/apt.log" || die "purge does not say that the books stay"
echo "packages: installed, started, upgraded, removed, purged"
