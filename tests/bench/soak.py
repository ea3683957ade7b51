#!/usr/bin/env python3
"""Mixed workloads for a long time, and the memory of each function over it.

    tests/bench/soak.py [--harness target/release/harness] [--function PATH] [--minutes 20]
                        [--workloads classify,caption,...] [--rate 1]

Needs MODELS_DIR and PICTURES_DIR. One function a workload, all at once, each under a Poisson load of RATE requests/s that checks every
answer (`harness load --workload`). Memory is the proportional set size (PSS) of the function and its
children, every 10 s. Prints per workload: answers, failures, memory at the first tenth, the middle
and the last tenth, and the slope of the second half in MiB an hour (least squares). Fails where a
request failed or the last tenth is above the second by more than 10 % and 8 MiB.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

EVERY_S = 10
WORKLOADS = "classify,caption,pdf,grade-c,grade-python,logger,null"


def tree(pid):
    """A process and all below it."""
    yield pid
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        threads = pathlib.Path(f"/proc/{pid}/task").iterdir()
        for thread in threads:
            if thread.name != str(pid):
                children += (thread / "children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from tree(int(child))


def pss_mib(pid):
    total = 0
    for process in tree(pid):
        try:
            text = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue  # it ended meanwhile
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))
    return total / 1024


def slope(values):
    """Least squares, a value a second."""
    times = [EVERY_S * i for i in range(len(values))]
    t, v = statistics.fmean(times), statistics.fmean(values)
    return sum((a - t) * (b - v) for a, b in zip(times, values)) / max(sum((a - t) ** 2 for a in times), 1)


def pictures(folder):
    """A folder with the pictures of PICTURES_DIR, and nothing else that lies there."""
    source = os.environ.get("PICTURES_DIR") or sys.exit("classify is sent pictures; set PICTURES_DIR to a folder of them")
    place = pathlib.Path(folder, "pictures")
    place.mkdir()
    for path in pathlib.Path(source).iterdir():
        if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"):
            shutil.copy(path, place)
    return str(place)


def start(options, workload, folder):
    # The first start without a model's files ends here, with the function's own line.
    environment = os.environ | {"WORKLOAD": workload, "PORT": "0", "BIND": "127.0.0.1", "INFERENCE_THREADS": "1"}
    for setting in options.env:
        name, _, value = setting.partition("=")
        environment[name] = value
    log = open(pathlib.Path(folder, f"{workload}.log"), "w+")
    process = subprocess.Popen([options.function], env=environment, stdout=log, stderr=subprocess.STDOUT)
    for _ in range(600):
        log.seek(0)
        found = re.search(r"^listening on ([\d.]+:\d+)", log.read(), re.M)
        if found:
            return process, f"http://{found.group(1)}"
        if process.poll() is not None:
            log.seek(0)
            sys.exit(f"{workload} did not start: {log.read().strip()}")
        time.sleep(0.1)
    sys.exit(f"{workload} did not listen within a minute")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--harness", default="target/release/harness")
    parser.add_argument("--function", default="target/x86_64-unknown-linux-gnu/release/function")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--workloads", default=WORKLOADS)
    parser.add_argument("--rate", type=float, default=1)
    parser.add_argument("--env", action="append", default=[], help="NAME=VALUE for every function")
    options = parser.parse_args()
    names = options.workloads.split(",")
    seconds = round(60 * options.minutes)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        functions = {name: start(options, name, folder) for name in names}
        try:
            loads = {}
            for name, (_, url) in functions.items():
                what = ["--workload", name]
                if name == "classify":
                    what, url = ["--body", pictures(folder)], f"{url}/predict"
                loads[name] = subprocess.Popen(
                    [options.harness, "load", url, *what, "--rate", str(options.rate), "--arrivals", "poisson",
                     "--duration", f"{seconds}s", "--timeout", "60s", "--quiet", "--output", "json"],
                    stdout=subprocess.PIPE, text=True)
            memory = {name: [] for name in names}
            for _ in range(seconds // EVERY_S):
                time.sleep(EVERY_S)
                for name, (process, _) in functions.items():
                    memory[name].append(pss_mib(process.pid))
            print(f"{'workload':<13} {'answers':>8} {'failures':>8} {'MiB early':>10} {'middle':>8} {'late':>8} {'MiB/hour':>9}")
            for name, load in loads.items():
                result = json.loads(load.communicate()[0])
                values, failures = memory[name], sum(result["failures"].values())
                tenth = max(len(values) // 10, 1)
                part = lambda i: statistics.fmean(values[i * tenth:(i + 1) * tenth] or values[-tenth:])
                early, middle, late = part(1), part(5), statistics.fmean(values[-tenth:])
                grows = late > 1.1 * early and late > early + 8
                failed |= grows or failures > 0
                print(f"{name:<13} {result['requests']:>8} {failures:>8} {early:>10.1f} {middle:>8.1f} {late:>8.1f} "
                      f"{3600 * slope(values[len(values) // 2:]):>9.1f}{'  GROWS' if grows else ''}", flush=True)
        finally:
            for process, _ in functions.values():
                process.terminate()
    sys.exit(failed)


main()
