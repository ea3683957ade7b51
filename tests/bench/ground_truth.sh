#!/bin/sh
# Ground truth: what each driver would have you believe of a target whose response times are known.
#
#   tests/bench/ground_truth.sh [path to the harness binary] [arguments of harness calibrate]
#
# A wrapper of `harness calibrate` (twelve minutes with its defaults): says what it ran on, and what
# was there. Needs two cores for themselves; a build with --features goose, and wrk, for all columns.
set -eu

harness=${1:-target/release/harness}
[ $# -eq 0 ] || shift
[ -x "$harness" ] || { echo "no binary at $harness: cargo build --release -p harness --features goose" >&2; exit 2; }

printf '%s; %s cores; load average %s; ' "$(uname -sr)" "$(nproc)" "$(cut -d' ' -f1 /proc/loadavg)"
sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1
"$harness" --version
command -v wrk > /dev/null && wrk -v 2>&1 | head -n 1
exec "$harness" calibrate "$@"
