#!/bin/sh
# What the harness adds by itself: measured against a target that answers at once.
#
#   tests/bench/null_target.sh [path to the harness binary]
#
# Prints the harness's own overhead (p50, p99), its lateness at 1000 and at 20,000 requests/s, and
# its closed-loop throughput beside wrk's on the same cores. The target runs on core 0, the load on
# core 1, one after the other. Needs two cores, python3, and wrk for the last part (apt-get install wrk).
set -eu

harness=${1:-target/release/harness}
seconds=${SECONDS_EACH:-10}
connections=${CONNECTIONS:-8}
[ -x "$harness" ] || { echo "no binary at $harness: cargo build --release -p harness" >&2; exit 2; }

folder=$(mktemp -d)
taskset -c 0 "$harness" null-target > "$folder/target" &
target=$!
trap 'kill $target; rm -r "$folder"' EXIT
tries=0
until grep -q listening "$folder/target"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "the null target did not start" >&2; exit 1; }
    sleep 0.05
done
url=$(sed -n 's/^listening on //p' "$folder/target")/

# An INVALID measurement (exit 3) is printed as such; anything worse ends the script.
load() {
    taskset -c 1 "$harness" load "$url" --duration "${seconds}s" --quiet --output json "$@" \
        > "$folder/result" || [ $? -eq 3 ]
}

say() {
    python3 - "$folder/result" "$1" << 'PYTHON'
import json, sys
r = json.load(open(sys.argv[1]))
s, l, g = r["service_time_ms"], r["lateness_ms"], r["generator"]
us = lambda ms: "-" if ms is None else f"{ms * 1000:.0f} us"
print(f"{sys.argv[2]}: {r['goodput_rps']:.0f}/s, service time p50 {us(s['p50'])}, p99 {us(s['p99'])}; "
      f"lateness p50 {us(l['p50'])}, p99 {us(l['p99'])}, max {us(l['max'])}; "
      f"generator {100 * g['cpu_share']:.0f} % of a core; failures {sum(r['failures'].values())}; "
      f"{r['validity']['word']}")
PYTHON
}

load --rate 1000 --arrivals constant
say "open loop, constant  1000/s"
load --rate 1000 --arrivals poisson
say "open loop, Poisson   1000/s"
load --rate 20000 --arrivals poisson
say "open loop, Poisson  20000/s"
load --connections 1
say "closed loop, 1 connection  "
load --connections "$connections"
say "closed loop, $connections connections "
if command -v wrk > "$folder/wrk"; then
    for c in 1 "$connections"; do
        printf 'wrk, %s connections: ' "$c"
        taskset -c 1 wrk -t 1 -c "$c" -d "${seconds}s" --latency "$url" |
            awk '/50%/ { p50 = $2 } /99%/ { p99 = $2 } /Requests\/sec/ { print $2 "/s, latency p50 " p50 ", p99 " p99 }'
    done
else
    echo "wrk is not installed (apt-get install wrk): no comparison"
fi
