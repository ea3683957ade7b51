#!/usr/bin/env bash
# Fails if a member built alone would resolve other features for a dependency than the whole workspace.
set -euo pipefail
cd "$(dirname "$0")/../.."
tree() { cargo tree --locked "$@" -e normal,build,dev --prefix none -f '{p} | {f}' | sed 's/ (\*)$//' | grep -v ' (/' | sort -u; }
status=0
for options in "harness" "function" "harness --features goose"; do
  member=${options%% *}
  features=${options#"$member"}
  # shellcheck disable=SC2086 # options are words
  extra=$(comm -23 <(tree -p $options) <(tree --workspace ${features/goose/harness\/goose}))
  if [ -n "$extra" ]; then
    echo "built alone, $options resolves other features; add what is missing to .ci/unified-features/Cargo.toml:"
    echo "$extra"
    status=1
  fi
done
exit $status
