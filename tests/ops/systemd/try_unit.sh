#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in the machine that run.sh boots: what an operator and a bad day do to the unit.
set -u
export SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0
unit=nom-marketd.service
finish() {
  echo "nom-tests-ended $1"
  systemctl poweroff --force --force
  sleep infinity
}
fail() {
  echo "FAILED: $*"
  systemctl status --no-pager "$unit"
  journalctl --no-pager -n 40 -o short-monotonic -u "$unit"
  finish 1
}
show() { systemctl show -p "$1" --value "$unit"; }
# The journal of what was logged until now, as messages alone.
journal() { journalctl --sync; journalctl -q -o cat "$@"; }
operator() { nomctl --target 127.0.0.1:7070 --token-file /etc/nom/operator.token --timeout 60 "$@"; }
# Waits for what a command says to become true; the machine's own time limit ends what never comes.
until_so() {
  local what=$1
  shift
  for ((n = 0; n < 600; n++)); do
    "$@" && return 0
    sleep 0.2
  done
  fail "$what: not within two minutes"
}
another_pid() { local now; now=$(show MainPID); [[ $now != 0 && $now != "$1" && $(show ActiveState) == active ]]; }

echo "== started =="
[[ $(show ActiveState) == active ]] || fail "it is $(show ActiveState), not active, once its start was waited for"
[[ $(show NRestarts) == 0 ]] || fail "it was started $(show NRestarts) times too often"
pid=$(show MainPID)
[[ $(stat -c %U "/proc/$pid") == nom ]] || fail "it runs as $(stat -c %U "/proc/$pid")"
grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/$pid/status" || fail "it may gain privileges"
grep -q '^CapEff:[[:space:]]*0*$' "/proc/$pid/status" || fail "it has capabilities: $(grep CapEff "/proc/$pid/status")"
grep -q '^Seccomp:[[:space:]]*2$' "/proc/$pid/status" || fail "its system calls are not filtered"
[[ $(stat -c '%U %a' /var/lib/nom) == "nom 750" ]] || fail "/var/lib/nom is $(stat -c '%U %a' /var/lib/nom)"
operator status >/dev/null || fail "nomctl status ended with $?"
operator tenant create shop --write /root/shop.token >/dev/null || fail "tenant create"
operator deposit shop 1.5cr >/dev/null || fail "deposit"
[[ $(journal -u "$unit" NOM_EVENT=deposit NOM_TENANT=shop | wc -l) == 1 ]] || fail "the journal has no field for what was done"

echo "== reloaded =="
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >/root/new.token
chmod 600 /root/new.token
cat /root/new.token >/etc/nom/operator.token
systemctl reload "$unit" || fail "reload"
reloaded() { operator status >/dev/null 2>&1; }
until_so "the new token" reloaded
[[ $(show MainPID) == "$pid" ]] || fail "a reload started it anew"

echo "== killed =="
kill -KILL "$pid"
until_so "a new start" another_pid "$pid"
operator account --tenant shop | grep -q 1500000 || fail "the money is gone"
pid=$(show MainPID)

echo "== hung =="
mkdir -p /run/systemd/system/$unit.d
printf '[Service]\nWatchdogSec=5s\n' >/run/systemd/system/$unit.d/soon.conf
systemctl daemon-reload
systemctl restart "$unit" || fail "restart"
pid=$(show MainPID)
kill -STOP "$pid"
until_so "the watchdog" another_pid "$pid"
journal -b _PID=1 | grep 'Watchdog timeout' >/dev/null || fail "it was not the watchdog that ended it"
rm /run/systemd/system/$unit.d/soon.conf
systemctl daemon-reload

echo "== stopped =="
systemctl stop "$unit" || fail "stop"
[[ $(show Result) == success && $(show ExecMainStatus) == 0 ]] || fail "it ended with $(show Result), $(show ExecMainStatus)"

echo "== refused =="
sed -i 's/^plaintext: true/plaintxt: true/' /etc/nom/marketd.yaml
systemctl reset-failed "$unit"
systemctl start "$unit" && fail "it started with a configuration that is wrong"
sleep 3  # Longer than RestartSec: whoever tried again would have by now.
[[ $(show NRestarts) == 0 ]] || fail "a configuration that is wrong was tried again"
journal -u "$unit" -n 20 | grep plaintxt >/dev/null || fail "the journal does not say what is wrong"
echo "== adopted =="
# The machine sells itself now, as the handbook's page on Linux hosts says. What is there is nobody's work.
mkdir -p /usr/share/nom/examples
cp /etc/nom/marketd.yaml /usr/share/nom/examples/
nomctl host init --id here || fail "nomctl host init ended with $?"
[[ $(stat -c '%U:%G %a' /etc/nom/marketd.yaml) == "root:nom 640" ]] || fail "the configuration is another's"
sed -i 's/^    recipes:$/&\n      - name: busy\n        unit: busy.service/; s/period_ms: .*/period_ms: 5000/' /etc/nom/marketd.yaml
systemctl daemon-reload
systemctl enable nom-holder nom-launcher "$unit" || fail "enable"
systemctl restart "$unit" || fail "the machine does not sell itself"
systemctl start busy.service || fail "busy.service"
connected() { operator status >/dev/null 2>&1; }
until_so "the host" connected
busy=/sys/fs/cgroup/system.slice/busy.service
of_busy() { systemctl show -p "$1" --value busy.service; }
before="$(of_busy CPUQuotaPerSecUSec) $(of_busy MemoryMax) $(of_busy MemoryMin) $(of_busy MemorySwapMax)"
pid=$(of_busy MainPID)
operator tenant create lab --write /root/lab.token >/dev/null || fail "tenant create"
operator deposit lab 100cr || fail "deposit"
operator adopt busy.service --tenant lab --seed cpu=200m --seed memory=64MiB || fail "adopt"
is_limited() { [[ $(cat $busy/cpu.max) == "$1 100000" && $(cat $busy/memory.max) == "$2" && $(cat $busy/memory.min) == 67108864 ]]; }
is_limited 20000 67108864 || fail "its seed: $(cat $busy/cpu.max $busy/memory.max $busy/memory.min)"
operator bid busy cpu 20@300 || fail "bid"
until_so "its award" is_limited 40000 67108864
systemctl daemon-reload
is_limited 40000 67108864 || fail "a reload of systemd took its limits away: $(cat $busy/cpu.max)"
operator guests | grep running || fail "it does not run as a guest"
# Whatever becomes of marketd and the launcher, it keeps what it holds.
systemctl kill -s KILL nom-launcher
kill -KILL "$(show MainPID)"
is_limited 40000 67108864 || fail "the limits went with their makers"
until_so "the host again" connected
# systemd starts it again by itself: the same guest, with the same limits.
kill -KILL "$pid"
started_again() { [[ $(of_busy MainPID) != "$pid" && $(of_busy MainPID) != 0 ]]; }
until_so "its own restart" started_again
pid=$(of_busy MainPID)
until_so "its limits" is_limited 40000 67108864
operator evict busy || fail "evict"
after="$(of_busy CPUQuotaPerSecUSec) $(of_busy MemoryMax) $(of_busy MemoryMin) $(of_busy MemorySwapMax)"
[[ $after == "$before" ]] || fail "it had $before, and was given back with $after"
[[ $(of_busy MainPID) == "$pid" ]] || fail "it did not live on"
# systemd takes the controller of the processor away again where nothing is limited.
[[ ! -e $busy/cpu.max || $(cat $busy/cpu.max) == "max 100000" ]] || fail "it has a limit of the processor: $(cat $busy/cpu.max)"
[[ $(cat $busy/memory.max) == 209715200 ]] || fail "it has another limit of memory: $(cat $busy/memory.max)"
echo "unit: started, reloaded, killed, hung, stopped, refused, adopted"
finish 0
