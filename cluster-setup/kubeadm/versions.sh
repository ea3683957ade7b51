#!/usr/bin/env bash
# Reads cluster-setup/versions.toml: `version TABLE KEY`. Sourced by the scripts; run by hand it prints one value.

VERSIONS_FILE=${VERSIONS_FILE:-$(dirname "${BASH_SOURCE[0]}")/../versions.toml}

# The value of KEY in [TABLE], or nothing. Knows only `key = "value"`, which is all that the file may hold.
version_or_empty() {
  awk -v table="[$1]" -v key="$2" '
    /^\[/ { inside = ($1 == table) }
    inside && $1 == key && $2 == "=" { split($0, part, "\""); print part[2]; exit }
  ' "$VERSIONS_FILE"
}

version() {
  local value
  [ -r "$VERSIONS_FILE" ] || { echo "error: $VERSIONS_FILE is missing: copy the whole folder cluster-setup" >&2; return 1; }
  value=$(version_or_empty "$1" "$2")
  [ -n "$value" ] || { echo "error: $VERSIONS_FILE has no $2 in [$1]: add it" >&2; return 1; }
  printf '%s\n' "$value"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  [ $# -eq 2 ] || { echo "usage: versions.sh TABLE KEY   (for example: kubernetes version)" >&2; exit 2; }
  version "$1" "$2"
fi
