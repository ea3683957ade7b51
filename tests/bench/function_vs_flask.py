#!/usr/bin/env python3
"""The function beside the same handler in Flask + ONNX Runtime and Flask + TensorFlow.

Servers are pinned to core 1, the load generator (`harness load`) to core 0; one inference thread
each; the same pictures; closed loop with 1 and 8 connections. Every round runs all servers in a
random order on fresh processes, so that slow drift of the machine hits all alike.

  python3 -m venv V && V/bin/pip install flask waitress onnxruntime pillow numpy tensorflow-cpu
  MODELS_DIR=... PICTURES_DIR=... V/bin/python tests/bench/function_vs_flask.py \\
      --harness target/release/harness --function target/x86_64-unknown-linux-gnu/release/function
"""

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def memory_mib(pid):
    """Resident memory of the process now, MiB."""
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return float("nan")


def first_answer(url, picture, process, limit_s=120):
    """Asks until the first 200; the request itself counts."""
    start = time.perf_counter()
    while time.perf_counter() - start < limit_s:
        if process.poll() is not None:
            sys.exit(f"a server ended with {process.returncode} before it answered")
        try:
            request = urllib.request.Request(url, data=picture, headers={"content-type": "image/jpeg"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.005)
    sys.exit(f"no answer from {url} within {limit_s} s")


def measure(name, command, options, picture_path):
    port = free_port()
    environment = dict(os.environ, PORT=str(port), BIND="127.0.0.1", INFERENCE_THREADS="1", DRAIN_SECONDS="0",
                       OMP_NUM_THREADS="1")
    with open(picture_path, "rb") as file:
        picture = file.read()
    url = f"http://127.0.0.1:{port}/predict?top=5"
    started = time.perf_counter()
    process = subprocess.Popen(["taskset", "-c", "1", *command], env=environment, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        first_answer(url, picture, process)
        result = {"start_s": time.perf_counter() - started, "memory_idle_mib": memory_mib(process.pid)}
        for connections in (1, 8):
            out = subprocess.check_output(
                [options.harness, "load", url, "--method", "POST", "--body", picture_path, "--connections",
                 str(connections), "--warmup", "1s", "--duration", options.duration, "--timeout", "30s",
                 "--core", "0", "--quiet", "--output", "json"])
            load = json.loads(out)
            result[f"rps_{connections}"] = load["goodput_rps"]
            result[f"p50_{connections}"] = load["response_time_ms"]["p50"]
            result[f"p99_{connections}"] = load["response_time_ms"]["p99"]
            failed = sum(count for outcome, count in load["failures"].items())
            result[f"failed_{connections}"] = failed
        result["memory_mib"] = memory_mib(process.pid)
    finally:
        process.terminate()
        process.wait(30)
    print(f"  {name}: {json.dumps({k: round(v, 2) for k, v in result.items()})}", file=sys.stderr)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--harness", required=True)
    parser.add_argument("--function", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duration", default="5s")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    servers = {
        "function (Rust, tract)": [options.function],
        "Flask + ONNX Runtime": [sys.executable, os.path.join(HERE, "peers/flask_onnxruntime.py")],
        "Flask + TensorFlow (weights=None)": [sys.executable, os.path.join(HERE, "peers/flask_tensorflow.py")],
    }
    picture = os.path.join(os.environ["PICTURES_DIR"], "cat.jpg")
    order = random.Random(options.seed)
    results = {name: [] for name in servers}
    for round_ in range(options.rounds):
        names = list(servers)
        order.shuffle(names)
        print(f"round {round_ + 1} of {options.rounds}: {', '.join(names)}", file=sys.stderr)
        for name in names:
            results[name].append(measure(name, servers[name], options, picture))
    keys = ["rps_1", "p50_1", "p99_1", "rps_8", "p50_8", "p99_8", "start_s", "memory_idle_mib", "memory_mib",
            "failed_8"]
    print("| server | " + " | ".join(keys) + " |")
    print("|---|" + "---:|" * len(keys))
    for name, rounds in results.items():
        cells = [f"{statistics.median(r[key] for r in rounds):.4g}" for key in keys]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print(f"\nMedians of {options.rounds} rounds; requests/s, ms, s, MiB.")


if __name__ == "__main__":
    main()
