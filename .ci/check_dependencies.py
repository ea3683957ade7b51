#!/usr/bin/env python3
"""Checks every dependency's licence and source, offline, from `cargo metadata`.

What `cargo deny check licenses sources bans` does, without installing it: each licence
expression must be satisfiable from ALLOWED, each source must be crates.io, and crates in REFUSED
(an advisory without a fix; kept by hand, since the advisory database cannot be fetched offline)
must not be in the lock file. Those in TOLERATED are printed with the reason.
"""

import json
import re
import subprocess
import sys

ALLOWED = {
    "Apache-2.0", "MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "0BSD", "BSL-1.0",
    "Unicode-3.0", "Unlicense", "CC0-1.0", "MPL-2.0", "CDLA-Permissive-2.0",
    "Apache-2.0 WITH LLVM-exception", "bzip2-1.0.6",
}
# Crates whose Cargo.toml names no licence; each was read.
CLARIFIED = {}
# Advisories without a fixed version, by crate.
REFUSED = {
    "ttf-parser": "RUSTSEC-2026-0192 (unmaintained); plotters' ttf and ab_glyph features bring it",
}
TOLERATED = {
    "bincode": "RUSTSEC-2025-0141 (unmaintained, no vulnerability); comes with polars",
}


def satisfied(expression: str) -> bool:
    """Whether an SPDX expression can be met from ALLOWED (AND, OR, parentheses, the old '/')."""
    tokens = re.findall(r"\(|\)|[^()\s]+", expression.replace("/", " OR "))
    position = 0

    def either() -> bool:
        nonlocal position
        value = both()
        while position < len(tokens) and tokens[position] == "OR":
            position += 1
            right = both()
            value = value or right
        return value

    def both() -> bool:
        nonlocal position
        value = one()
        while position < len(tokens) and tokens[position] == "AND":
            position += 1
            right = one()
            value = value and right
        return value

    def one() -> bool:
        nonlocal position
        token = tokens[position]
        position += 1
        if token == "(":
            value = either()
            position += 1
            return value
        if position + 1 < len(tokens) and tokens[position] == "WITH":
            token = f"{token} WITH {tokens[position + 1]}"
            position += 2
        return token in ALLOWED or token.split(" WITH ")[0] in ALLOWED

    return either()


def main() -> int:
    metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--locked"]))
    faults = []
    for package in metadata["packages"]:
        name, source = package["name"], package["source"]
        if source is None:
            continue
        if "crates.io" not in source:
            faults.append(f"{name}: comes from {source}; only crates.io is allowed")
        licence = package["license"] or CLARIFIED.get(name)
        if not licence:
            faults.append(f"{name}: names no licence; read it and add it to CLARIFIED")
        elif not satisfied(licence):
            faults.append(f"{name}: licence {licence} is not allowed")
        if name in REFUSED:
            faults.append(f"{name}: {REFUSED[name]}")
        if name in TOLERATED:
            print(f"tolerated: {name} {package['version']}: {TOLERATED[name]}")
    for fault in faults:
        print(f"error: {fault}")
    print(f"{len(metadata['packages'])} packages checked, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
