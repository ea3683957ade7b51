#!/bin/sh
# A/A comparisons on the twin: how many say anything but "cannot tell"?
#
#   tests/bench/a_a.sh [path to the harness binary] [number of comparisons] [further flags of compare]
#
# Knative and OpenFaaS take turns; every comparison has a seed of its own. About two minutes each.
set -eu

here=$(dirname "$0")
harness=${1:-target/release/harness}
count=${2:-10}
[ $# -lt 2 ] || shift 2
runs=$(mktemp -d)
echo "run folders: $runs"
i=1
while [ "$i" -le "$count" ]; do
    platform=knative
    [ $((i % 2)) -eq 1 ] || platform=openfaas
    status=0
    "$harness" compare --experiment "$here/a_a.toml" --platforms "$platform,$platform" --seed "$i" \
        --runs-dir "$runs" --name "a-a-$i" --quiet --output json "$@" >"$runs/$i.json" || status=$?
    python3 - "$runs/$i.json" "$i" "$platform" "$status" <<'PYTHON'
import json, sys
path, i, platform, status = sys.argv[1:]
summary = json.load(open(path))
invalid = sum(bool(cell["validity"]["problems"]) for cell in summary["cells"])
for comparison in (c for c in summary["comparisons"] if c["primary"]):
    ratio = comparison["ratio"] or {}
    print(f"{i:>2} {platform:8} {comparison['load']:9} {comparison['verdict']['kind']:11} "
          f"ratio {ratio.get('estimate', float('nan')):.3f} [{ratio.get('low', float('nan')):.3f}, "
          f"{ratio.get('high', float('nan')):.3f}]  p {comparison['p_value']}  "
          f"invalid cells {invalid} of {len(summary['cells'])}  exit {status}", flush=True)
PYTHON
    i=$((i + 1))
done
