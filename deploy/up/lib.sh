# SPDX-License-Identifier: Apache-2.0
# What runs one machine and its market on this computer. Sourced by deploy/up/run and by the whole-system tests.
#
# Uses: build (build directory), state (a directory of ours), period (such as 2s), limit (seconds after which
# whatever was started ends even if this script could not end it). Sets: machine, market, bidder (process ids of the
# limiters), marketd (the process itself), target, metrics, page (addresses), operator (nomctl with the operator's token).

up_here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
children=()

say() { printf '%s\n' "$*" >&2; }
die() { say "nom up: $*"; exit 1; }

# Ends one process: politely, and after ten seconds by force.
stop() {
  local pid=$1 n
  kill -TERM "$pid" 2>/dev/null || return 0
  for ((n = 0; n < 100; n++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

# Ends what was started, last first: bidders before the machine, the machine before the market that wrote it down.
finish() {
  local code=$? i
  trap - EXIT INT TERM
  for ((i = ${#children[@]} - 1; i >= 0; i--)); do stop "${children[i]}"; done
  exit "$code"
}

# start LOG COMMAND...: under the limit, in a session of its own, so that Ctrl-C reaches the caller alone.
start() {
  local log=$1
  shift
  setsid timeout -k 10 "$limit" "$@" >>"$log" 2>&1 8>&- </dev/null &
  children+=($!)
}

# wait_for SECONDS WHAT LOG PID TEST...: polls until TEST succeeds; a dead process or a time-out shows the log.
wait_for() {
  local seconds=$1 what=$2 log=$3 pid=$4 n
  shift 4
  for ((n = 0; n < seconds * 20; n++)); do
    if "$@" 2>/dev/null; then return 0; fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  tail -n 30 "$log" >&2
  die "$what did not come up; the end of $log is above"
}

prepare_state() {
  local keep=$1
  mkdir -p "$state"
  exec 8>"$state/lock"
  flock -n 8 || die "another one is running in $state"
  ((keep)) || rm -f "$state"/ledger.db* "$state"/*.token
  rm -f "$state"/ready "$state"/*.log "$state"/mailbox "$state"/doorbell
  [[ -s $state/operator.token ]] ||
    (umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$state/operator.token")
}

period_ms() {
  case $period in
    *ms) echo $((10#${period%ms})) ;;
    *s) echo $((10#${period%s} * 1000)) ;;
    *) die "period $period: wants a time such as 2s or 1500ms" ;;
  esac
}

# start_market [CONFIG]
start_market() {
  local ms
  ms=$(period_ms)
  rm -f "$state/ready"
  sed -e "s|@STATE@|$state|g" -e "s|@IMAGES@|$build/guests|g" -e "s|@PERIOD_MS@|$ms|g" \
    -e "s|@PAGE@|$build/marketd/page/web/dist|g" \
    "${1-$up_here/market.yaml}" >"$state/market.yaml"
  start "$state/marketd.log" "$build/marketd/marketd" --config "$state/market.yaml" \
    --ready-file "$state/ready"
  market=${children[-1]}
  wait_for 60 marketd "$state/marketd.log" "$market" test -s "$state/ready"
  target=$(sed -n 's/^grpc=//p' "$state/ready")
  metrics=$(sed -n 's/^metrics=//p' "$state/ready")
  page=$(sed -n 's/^page=//p' "$state/ready")
  marketd=$(sed -n 's/^pid=//p' "$state/ready")
  operator=("$build/client/cli/nomctl" --target "$target" --token-file "$state/operator.token")
}

# start_machine [ARGUMENT_OF_QEMU...]: after the market, which its doorbell connects to.
start_machine() {
  # A guest whose emulator waits for a processor of ours is a guest that overruns its slot: where we may, the
  # machine goes before whatever else this computer does.
  # Where the kernel groups processes by session, nice counts within the group, and the group has its own.
  local first=()
  if [[ $(nice -n -15 nice 2>/dev/null) == -15 ]]; then
    first=(sh -c 'echo -15 2>/dev/null >/proc/self/autogroup; exec nice -n -15 "$@"' first)
  fi
  start "$state/nomhv.log" "${first[@]}" qemu-system-x86_64 -machine q35 -accel tcg -cpu max \
    -m 512 -smp 4 -display none -no-reboot -nodefaults -serial stdio \
    -device isa-debug-exit,iobase=0xf4,iosize=4 \
    -chardev "socket,path=$state/doorbell,id=doorbell" \
    -device ivshmem-doorbell,vectors=1,chardev=doorbell -kernel "$build/nomhv/nomhv.elf" "$@"
  machine=${children[-1]}
}

host_connected() { grep -q '"connected": *true' <<<"$("${operator[@]}" host list --json)"; }
wait_for_host() { wait_for 60 nomhv "$state/nomhv.log" "$machine" host_connected; }

# Tenants, their money, their guests, as guests.list says; what is there already is left alone.
admit_guests() {
  local tenant deposit name image seed_memory seed_cpu window arguments
  while read -r tenant deposit name image seed_memory seed_cpu window arguments; do
    [[ -z $tenant || $tenant == \#* ]] && continue
    if [[ ! -s $state/$tenant.token ]]; then
      (umask 077 && "${operator[@]}" tenant create "$tenant" --token-only >"$state/$tenant.token")
      "${operator[@]}" deposit "$tenant" "$deposit" >/dev/null
    fi
    if ! grep -q "\"name\": *\"$name\"" <<<"$("${operator[@]}" guests --json)"; then
      "${operator[@]}" admit --tenant "$tenant" --name "$name" --image "$image" \
        --seed "memory=$seed_memory" --seed "cpu=$seed_cpu" --memory-max "$window" \
        --arguments "$arguments" >/dev/null
    fi
  done <"$up_here/guests.list"
}

# nomctl as a tenant: as_tenant TENANT COMMAND...
as_tenant() {
  local tenant=$1
  shift
  "$build/client/cli/nomctl" --target "$target" --token-file "$state/$tenant.token" "$@"
}
# The first number of that name in JSON.
number_of() { sed -n "s/^ *\"$1\": *\"\{0,1\}\([0-9][0-9]*\)\"\{0,1\},\{0,1\}$/\1/p" | head -n 1; }

# What is sold beside the auction, each to one of the guests: service buys units for many rounds by a contract, catalog takes a
# part of them in sublet, and for batch, which does not bid, the market does, by a tier. Done once.
sell_products() {
  local offer contract catalog
  [[ -z $("${operator[@]}" contracts --json | number_of contract_id) ]] || return 0
  offer=$(as_tenant front quote service memory=6 --rounds 600 --json | number_of offer_id)
  contract=$(as_tenant front buy "$offer" --guest service --renew-ceiling 1cr --json | number_of contract_id)
  catalog=$(as_tenant search guests --json | number_of guest_id)
  offer=$(as_tenant front sublet "$contract" memory=2@30 --rounds 500 --to "id:$catalog" --json | number_of offer_id)
  as_tenant search take "$offer" --guest catalog >/dev/null
  as_tenant crunch tier batch --tier gold --most memory=6,cpu=30 --ceiling 1cr >/dev/null
}

# What each of them has paid so far.
sum_up_products() {
  local contracts spent
  contracts=$("${operator[@]}" contracts)
  spent=$(as_tenant crunch guests --json | number_of spent_microcredits)
  say "nom up: sold beside the auction; paid in micro-credits:"
  say "$contracts"
  say "batch by its tier, gold, the rent of its seed included: ${spent:-0}"
  grep -q forward <<<"$contracts" && grep -q 'sublet of' <<<"$contracts" || die "a contract or a sublet is missing"
  awk '$3 == "forward" { forward = $(8) } $3 == "sublet" { sublet = $(10) } END { exit !(forward > 0 && sublet > 0) }' \
    <<<"$contracts" || die "nothing was paid for the contract, or for the sublet"
  ((${spent:-0} > 0)) || die "batch paid nothing"
}

start_bidder() {
  start "$state/hosted_bidder.log" "$build/client/examples/hosted_bidder" --target "$target" \
    --token-file "$state/render.token" --guest-name render
  bidder=${children[-1]}
}
