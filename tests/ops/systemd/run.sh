#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# marketd's unit started, reloaded, killed, hung and stopped by a real systemd: Debian's kernel and systemd in QEMU. Then
# that machine sells itself: a unit of its own is adopted, limited, and given back.
#
# usage: run.sh BUILD_DIR LINUX_GUEST_DIR WORK_DIR
# Skips (77) where it can't make or boot a root: without root's rights, mmdebstrap, QEMU, the kernel or packages to fetch. The bare root is
# made once (a minute) and kept in the build directory.
set -euo pipefail
build=$1 guest=$2 work=$3
here=$(dirname "$(readlink -f "$0")")
source=$(readlink -f "$here/../../..")
skip() { echo "skipped: $*"; exit 77; }
((EUID == 0)) || skip "a root is made by root alone"
for program in mmdebstrap qemu-system-x86_64; do command -v $program >/dev/null || skip "no $program"; done
[[ -s $guest/vmlinuz ]] || skip "no $guest/vmlinuz; ./nom test fetches it"

rm -rf "$work"
mkdir -p "$work/root"
trap 'rm -rf "$work/root" "$work/root.cpio"' EXIT
trap 'exit 143' TERM
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
tar=$build/systemd-root.$suite.tar
if [[ ! -s $tar ]]; then
  timeout 400 mmdebstrap --quiet --format=tar --variant=minbase --include=systemd,systemd-sysv "$suite" "$tar.new" >"$work/mmdebstrap.log" 2>&1 ||
    { rm -f "$tar.new"; tail -n 3 "$work/mmdebstrap.log"; skip "no packages to make a root of"; }
  mv "$tar.new" "$tar"
fi
root=$work/root
# What a machine without people needs not be carried along: all of it is in the machine's memory.
tar -xf "$tar" -C "$root" --exclude='./dev/*' --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' \
  --exclude='./usr/share/zoneinfo/*' --exclude='./var/cache/*' --exclude='./var/lib/apt/lists/*' --exclude='./usr/lib/x86_64-linux-gnu/perl-base/*'

# The programs with the libraries that they need, and what the package installs beside them.
for program in marketd/marketd marketd/nom-launcher client/cli/nomctl; do
  install -D -m 755 "$build/$program" "$root/usr/bin/$(basename "$program")"
  ldd "$build/$program" | grep -oE '/\S+ \(0x' | cut -d' ' -f1 | while read -r library; do
    [[ -e $root$library ]] || install -D -m 755 "$(readlink -f "$library")" "$root$library"
  done
done
install -D -m 644 "$source/deploy/systemd/nom-marketd.service" "$root/usr/lib/systemd/system/nom-marketd.service"
for unit in nom-holder.service nom-launcher.service nom.slice; do
  install -D -m 644 "$source/deploy/systemd/$unit" "$root/usr/lib/systemd/system/$unit"
done
install -D -m 755 "$source/deploy/systemd/nom-hold" "$root/usr/lib/nom/nom-hold"
install -D -m 644 "$source/deploy/systemd/nom-marketd.service.d/linux-host.conf" \
  "$root/usr/share/nom/examples/nom-marketd.service.d/linux-host.conf"
install -D -m 644 "$here/busy.service" "$root/etc/systemd/system/busy.service"
install -D -m 644 "$source/deploy/systemd/nom.sysusers" "$root/usr/lib/sysusers.d/nom.conf"
install -D -m 644 "$source/deploy/marketd.yaml" "$root/etc/nom/marketd.yaml"
# The page is another package's matter, and not always built.
sed -i 's/^page_/# page_/' "$root/etc/nom/marketd.yaml"
mkdir -p "$root/dev"
mknod -m 666 "$root/dev/urandom" c 1 9 || skip "devices can't be made here"
chroot "$root" groupadd --system kvm
install -m 755 "$source/deploy/debian/postinst" "$root/postinst"
chroot "$root" /postinst configure ""
rm "$root/postinst"

# The machine boots to marketd and to what tries it out, and to nothing else.
install -m 755 "$here/try_unit.sh" "$root/try_unit.sh"
install -m 644 "$here/try-unit.service" "$root/etc/systemd/system/try-unit.service"
units=$root/etc/systemd/system
mkdir -p "$units/multi-user.target.wants"
ln -sf /lib/systemd/system/multi-user.target "$units/default.target"
ln -s /usr/lib/systemd/system/nom-marketd.service "$units/multi-user.target.wants/"
ln -s /etc/systemd/system/try-unit.service "$units/multi-user.target.wants/"
for unit in getty.target serial-getty@ttyS0.service systemd-logind.service systemd-timesyncd.service systemd-udevd.service systemd-udev-trigger.service \
  systemd-networkd.service systemd-resolved.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer \
  systemd-firstboot.service systemd-update-utmp.service; do
  ln -sf /dev/null "$units/$unit"
done
: >"$root/etc/machine-id"
python3 "$source/deploy/linux/make_initramfs.py" "$work/root.cpio" --root "$root" --init-link usr/lib/systemd/systemd
rm -rf "$root"
python3 "$source/tests/linux/run.py" "$guest/vmlinuz" "$work/root.cpio" --memory 1536 --timeout 400 \
  --append "systemd.show_status=no systemd.log_level=warning systemd.firstboot=off systemd.unified_cgroup_hierarchy=1"
