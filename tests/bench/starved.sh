#!/bin/sh
# Proof 4: a generator that is starved of CPU on purpose is called INVALID, with the right reason.
#
#   tests/bench/starved.sh [path to the harness binary]
#
# Drives a null target six times: undisturbed; stopped for 100 ms again and again (SIGSTOP), in an
# open and in a closed loop; and beside busy loops on the generator's own core, likewise. Prints the
# word and the reasons of each, and fails unless every starved load is INVALID for its own reason.
# The undisturbed loads should be VALID on an idle machine; elsewhere the reasons say what disturbed
# them. Needs python3 and taskset (util-linux).
set -eu

harness=${1:-target/release/harness}
seconds=${SECONDS_EACH:-5}
core=${CORE:-1}
[ -x "$harness" ] || { echo "no binary at $harness: cargo build --release -p harness" >&2; exit 2; }

folder=$(mktemp -d)
busy=
"$harness" null-target > "$folder/target" &
target=$!
end() {
    # shellcheck disable=SC2086 # process ids, one a word
    kill $target $busy 2> /dev/null || true
    rm -r "$folder"
}
trap end EXIT
tries=0
until grep -q listening "$folder/target"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "the null target did not start" >&2; exit 1; }
    sleep 0.05
done
url=$(sed -n 's/^listening on //p' "$folder/target")/

# Begins a load; its result is in $folder/result once process $load has ended.
begin() {
    "$harness" load "$url" --core "$core" --duration "${seconds}s" --quiet --output json "$@" > "$folder/result" &
    load=$!
}

# Waits for the load; an INVALID one (exit 3) is what is looked for.
ended() {
    wait "$load" || [ $? -eq 3 ]
}

stopped() {
    begin "$@"
    end_s=$(($(date +%s) + seconds))
    while [ "$(date +%s)" -lt "$end_s" ]; do
        sleep 0.2
        kill -STOP "$load" 2> /dev/null || break
        sleep 0.1
        kill -CONT "$load"
    done
    ended
}

# say NAME [REASON]: the word, the reasons, and what the machine did. Without REASON nothing is asked.
say() {
    python3 - "$folder/result" "$@" << 'PYTHON'
import json, sys
result = json.load(open(sys.argv[1]))
validity, generator = result["validity"], result["generator"]
machine, lag = generator["machine"], generator["loop_lag"]
waits = machine["scheduling"] or {"waited_share": float("nan")}
print(f"{sys.argv[2]}: {validity['word']}; lateness p99 {result['lateness_ms']['p99']:.2f} ms, loop lag p99 "
      f"{lag['p99_ms']:.2f} ms, waited for a core {100 * waits['waited_share']:.1f} % of the time, busy "
      f"{100 * generator['cpu_share']:.0f} %; looking at the machine cost "
      f"{100 * machine['looking_cpu_seconds'] / machine['seconds']:.3f} % of a core")
for problem in validity["problems"]:
    print(f"    {problem['reason']} {problem['remedy']}")
if len(sys.argv) > 3 and not any(sys.argv[3] in problem["reason"] for problem in validity["problems"]):
    sys.exit(f"FAILED: no reason says '{sys.argv[3]}'")
PYTHON
}

begin --rate 500 && ended
say "undisturbed, open loop  "
begin --connections 2 && ended
say "undisturbed, closed loop"
stopped --rate 500
say "stopped, open loop      " "sent late"
stopped --connections 2
say "stopped, closed loop    " "stood still"
for _ in 1 2 3 4; do
    taskset -c "$core" sh -c 'while :; do :; done' &
    busy="$busy $!"
done
begin --rate 5000 && ended
say "beside busy loops, open loop  " "starved of CPU"
begin --connections 8 && ended
say "beside busy loops, closed loop" "starved of CPU"
echo "every starved generator was called INVALID for its own reason"
