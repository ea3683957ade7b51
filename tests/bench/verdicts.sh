#!/bin/sh
# The verdict on recorded noise: false alarms of 2,000 A/A comparisons, detection of injected slow-downs.
#
#   tests/bench/verdicts.sh
#
# Trials: harness/tests/fixtures/trials/recorded.csv, which says where they are from. The rules and the
# seeds are in harness/src/analyse/power.rs. Two minutes, building apart; fails where a false
# alarm is more frequent than 5 %, or its upper 95 % bound (Clopper and Pearson) is above 7 %.
set -eu

cd "$(dirname "$0")/../.."
exec cargo test --release -p harness --features goose --lib analyse::power -- --ignored --nocapture --test-threads 1
