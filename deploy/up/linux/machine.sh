# SPDX-License-Identifier: Apache-2.0
# Sourced by process 1 of an emulated Linux machine whose initramfs make_machine made: what systemd would do with the
# three units in deploy/systemd, a market that has its host, and words to fill it with. Ends the machine with
# "nom-tests-ended 1" if one of them fails.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t cgroup2 -o memory_recursiveprot cg /sys/fs/cgroup
chmod 1777 /tmp
ip link set lo up
for module in configfs null_blk; do insmod /modules/$module.ko; done
chmod 644 /dev/nullb0  # A disk that reads as zeroes: page cache to be had.
argument() { sed -n "s/.*nom_$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
echo 'root:x:0:0::/:/bin/sh
nom:x:900:900::/:/bin/sh
nobody:x:65534:65534::/:/bin/sh' >/etc/passwd
echo 'root:x:0:
nom:x:900:
nogroup:x:65534:' >/etc/group

own=/sys/fs/cgroup/nom.slice/nom-holder.service
echo '+cpu +memory +pids +io' >/sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/nom.slice
echo '+cpu +memory +pids +io' >/sys/fs/cgroup/nom.slice/cgroup.subtree_control
mkdir $own
chown nom:nom $own $own/cgroup.procs $own/cgroup.subtree_control
sh -c "echo \$\$ >$own/cgroup.procs; exec su nom -s /bin/sh -c 'exec /bin/nom-hold'" &
mkdir -p /run/nom /run/nom-launcher /etc/nom
chown nom:nom /run/nom /var/lib/nom
sed "s/@PERIOD_MS@/$(argument period)/" /etc/marketd.yaml >/etc/nom/marketd.yaml
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >/etc/nom/operator.token
chmod 600 /etc/nom/operator.token
chown nom:nom /etc/nom/operator.token

operator="nomctl --target 127.0.0.1:7070 --token-file /etc/nom/operator.token --timeout 60"
fail() {
  echo "init: $*"
  tail -n 20 /tmp/*.log
  echo "nom-tests-ended 1"
  poweroff -f
  sleep 60
}
# Until a command succeeds, a minute at most.
wait_for() {
  n=0
  until "$@" >/dev/null 2>&1; do
    n=$((n + 1))
    [ $n -lt 300 ] || fail "did not come: $*"
    sleep 0.2
  done
}
start_marketd() {
  rm -f /run/nom/ready
  su nom -s /bin/sh -c 'exec marketd --config /etc/nom/marketd.yaml --ready-file /run/nom/ready' >>/tmp/marketd.log 2>&1 &
  wait_for test -s /run/nom/ready
}
connected() { $operator host list --json | grep -q '"connected": true'; }

wait_for test -e $own/guests/cgroup.subtree_control
nom-launcher --config /etc/nom/marketd.yaml --user nom >/tmp/launcher.log 2>&1 &
wait_for test -S /run/nom-launcher/socket
start_marketd
wait_for connected || fail "no host"
$operator host list

# One guest a tenant: name, recipe, seeds, what it bids.
guest() {
  [ -s /tmp/"$1".token ] || $operator tenant create "$1" --write /tmp/"$1".token >/dev/null || fail "tenant $1"
  $operator deposit "$1" 1000000000 >/dev/null || fail "deposit of $1"
  $operator admit --tenant "$1" --name "$1" --image "$2" --seed cpu="$3" --seed memory="$4" || fail "guest $1"
}
bid() {
  who=$1
  shift
  nomctl --target 127.0.0.1:7070 --token-file /tmp/"$who".token --timeout 60 bid "$who" "$@" >/dev/null || fail "bid of $who"
}
