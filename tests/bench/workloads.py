#!/usr/bin/env python3
"""All workloads on the twin in one table: requests/s, p50, p99, memory, image size, cold start.

    tests/bench/workloads.py [--harness target/release/harness] [--sizes small]
                             [--workloads classify,caption,...] [--trials 2] [--platform knative]
                             [--function-binary PATH]

One run a workload and size (one pinned replica of one core; a closed loop of eight connections
for throughput, Poisson at half of it for the percentiles), the image built as an archive without a
base, and the time from a fresh deployment to its first answer. What a run calls INVALID is marked
with '!'. Image sizes are those of the testbed's own layers: compilers and browsers come with a base.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

WORKLOADS = "classify,caption,pdf,grade-c,grade-python,logger,null"
ROW = "{:<13} {:<6} {:>10} {:>9} {:>9} {:>9} {:>9} {:>10} {:>9}"


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # 3 says that some cell is INVALID; its mark stands in the table.
    if done.returncode not in (0, 3):
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
    return done.stdout


def measured(options, folder, workload, size):
    """The cells of a run, by the name of their load point."""
    text = run([
        options.harness, "run", options.platform, "--on", "twin", "--workload", workload,
        "--size", size, "--trials", str(options.trials), "--runs-dir", folder, "--quiet", "--output", "json",
        "--offline", *options.binary, *options.flags,
    ])
    cells = {}
    for cell in json.loads(text)["cells"]:
        cells.setdefault(cell["load"], []).append(cell)
    return cells


def image_mb(options, folder, workload):
    """Compressed size of the testbed's own layers, MB; none where it needs a base."""
    archive = pathlib.Path(folder, f"{workload}.tar")
    try:
        run([options.harness, "image", "build", "--workload", workload, "--output", str(archive), "--offline",
             *options.binary])
    except RuntimeError as error:
        return "base" if "--base" in str(error) else "?"
    return f"{archive.stat().st_size / 1e6:.1f}"


def middle(cells, figure):
    values = [value for cell in cells if (value := figure(cell)) is not None]
    bad = any(cell["validity"]["problems"] for cell in cells)
    return "-" if not values else f"{statistics.median(values):.1f}{'!' if bad else ''}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--harness", default="target/release/harness")
    parser.add_argument("--workloads", default=WORKLOADS)
    parser.add_argument("--sizes", default="small")
    parser.add_argument("--platform", default="knative")
    parser.add_argument("--trials", type=int, default=2)
    parser.add_argument("--function-binary", help="with the features of all workloads [default: built for each]")
    parser.add_argument("--no-images", action="store_true", help="leave the images' sizes out")
    options, options.flags = parser.parse_known_args()
    options.binary = ["--function-binary", options.function_binary] if options.function_binary else []
    if not os.access(options.harness, os.X_OK):
        sys.exit(f"no binary at {options.harness}: cargo build --release -p harness")
    print(ROW.format("workload", "size", "requests/s", "p50 ms", "p99 ms", "inside ms", "MiB", "image MB", "start ms"))
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for workload in options.workloads.split(","):
            image = "-" if options.no_images else image_mb(options, folder, workload)
            for size in options.sizes.split(","):
                try:
                    cells = measured(options, folder, workload, size)
                except RuntimeError as error:
                    failed = True
                    print(f"{workload:<13} {size:<6} {error}", flush=True)
                    continue
                closed, poisson = cells["closed-8"], cells["poisson"]
                print(ROW.format(
                    workload, size,
                    middle(closed, lambda c: c["goodput_rps"]),
                    middle(poisson, lambda c: c["response_ms"]["p50"]),
                    middle(poisson, lambda c: c["response_ms"]["p99"]),
                    middle(poisson, lambda c: c["server_ms"].get("total")),
                    middle(closed, lambda c: c["memory_bytes"] and c["memory_bytes"]["max"] / 2**20),
                    image,
                    middle(closed, lambda c: c["ready_after_ms"]),
                ), flush=True)
    sys.exit(failed)


main()
