#!/usr/bin/env bash
# Holds the dashboards to Grafana's own schema: the types of the npm package @grafana/schema, checked by the TypeScript
# compiler. Needs npm and its registry; opt-in, not a part of the tests.
#
# usage: grafana/check_schema.sh
set -euo pipefail
dashboards=$(cd "$(dirname "$0")/dashboards" && pwd)
command -v npm >/dev/null || { echo "error: npm is not installed: apt-get install npm" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund @grafana/schema@13.2.3 typescript@5.9
cp node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen.d.ts .
number=0
{
  echo "import type { Dashboard } from './types.gen';"
  for file in "$dashboards"/*.json; do
    number=$((number + 1))
    printf '// %s\nexport const dashboard%d: Dashboard = %s;\n' "$(basename "$file")" "$number" "$(cat "$file")"
  done
} >check.ts
npx tsc --noEmit --strict --skipLibCheck --module esnext --moduleResolution bundler --target es2022 check.ts
echo "$number dashboards keep to the schema"
