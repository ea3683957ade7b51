#!/bin/sh
# The engine beside wrk and goose, on the same cores: requests/s, lateness, CPU a request.
#
#   tests/bench/drivers.sh [path to the harness binary]
#
# A null target on core 1, the driver on core 0, one after the other; closed loops of CONNECTIONS (8)
# for SECONDS_EACH (10) seconds, then our own open loop at RATE (20,000) requests/s, which the others
# do not have. Lateness exists only there. CPU a request is that of the driver's process (of its
# thread for ours). Needs two cores, python3, a build with --features goose, and wrk (apt-get install wrk).
set -eu

harness=${1:-target/release/harness}
seconds=${SECONDS_EACH:-10}
connections=${CONNECTIONS:-8}
rate=${RATE:-20000}
rounds=${ROUNDS:-3}
[ -x "$harness" ] || { echo "no binary at $harness: cargo build --release -p harness --features goose" >&2; exit 2; }
[ "$(nproc)" -ge 2 ] || { echo "two cores are needed: one for the target, one for the driver" >&2; exit 2; }

folder=$(mktemp -d)
: > "$folder/target"
taskset -c 1 "$harness" null-target > "$folder/target" &
target=$!
trap 'kill $target; rm -r "$folder"' EXIT
tries=0
until grep -q listening "$folder/target"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "the null target did not start" >&2; exit 1; }
    sleep 0.05
done
url=$(sed -n 's/^listening on //p' "$folder/target")/

# An INVALID measurement (exit 3) is printed as such; a driver that is not there (exit 2) is left out.
load() {
    code=0
    taskset -c 0 "$harness" load "$url" --duration "${seconds}s" --quiet --output json "$@" \
        > "$folder/result" 2> "$folder/error" || code=$?
    case $code in
    0 | 3) ;;
    2) sed 's/^/left out: /' "$folder/error"; return 1 ;;
    *) cat "$folder/error" >&2; exit "$code" ;;
    esac
}

say() {
    python3 - "$folder/result" "$1" << 'PYTHON'
import json, sys
r = json.load(open(sys.argv[1]))
g = r.get("generator")
cpu_s = g["cpu_share"] * g["elapsed_ns"] / 1e9 if g else r["cpu_seconds"]
n = r["requests"]
us = lambda ms: "-" if ms is None else f"{ms * 1000:.0f} us"
s = r.get("service_time_ms") or r["latency_ms"]
late = r.get("lateness_ms") if sys.argv[2].startswith("open") else None
lateness = f"lateness p50 {us(late['p50'])}, p99 {us(late['p99'])}" if late else "no lateness"
word = f"; {r['validity']['word']}" if "validity" in r else ""
print(f"{sys.argv[2]}: {r['achieved_rps']:8.0f}/s, latency p50 {us(s['p50'])}, p99 {us(s['p99'])}; "
      f"{lateness}; {1e6 * cpu_s / n:.1f} us CPU a request; failures {sum(r['failures'].values())}{word}")
PYTHON
}

# In rounds, so that a change of the machine meets all of them.
round=1
while [ "$round" -le "$rounds" ]; do
    for driver in native wrk goose; do
        load --connections "$connections" --driver "$driver" && say "closed loop, $(printf %-6s "$driver")"
    done
    load --rate "$rate" --arrivals poisson && say "open loop, native   "
    round=$((round + 1))
done
