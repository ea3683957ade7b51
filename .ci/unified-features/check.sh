#!/usr/bin/env bash
# Fails if a member built alone would resolve other features for a dependency than the whole workspace.
set -euo pipefail
cd "$(dirname "$0")/../.."
tree() { cargo tree --locked "$@" -e normal,build,dev --prefix none -f '{p} | {f}' | sed 's/ (\*)$//' | grep -v ' (/' | sort -u; }
whole=$(tree --workspace)
status=0
for member in harness function; do
  extra=$(comm -23 <(tree -p "$member") <(echo "$whole"))
  if [ -n "$extra" ]; then
    echo "built alone, $member resolves other features; add what is missing to .ci/unified-features/Cargo.toml:"
    echo "$extra"
    status=1
  fi
done
exit $status
