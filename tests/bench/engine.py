#!/usr/bin/env python3
"""The load engine against wrk on the same core, its lateness, and its memory over time.

    tests/bench/engine.py [--harness target/release/harness] [--seconds 10] [--tries 3]
                          [--rates 1000,10000,20000] [--connections 1,8,64]
                          [--memory-seconds 60] [--memory-rate 20000]

The null target runs on core 0, the load on core 1, one after the other; of several tries the best
is printed (other work on the machine only ever makes them worse). CPU a request is that of the
whole process, user and system, from getrusage(2). --memory-seconds 1200 is the long proof; 0 skips
that part. Needs two cores, and wrk for the comparison (apt-get install wrk).
"""

import argparse
import json
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time


def on_core(core, command):
    return ["taskset", "-c", str(core), *command]


def run(command):
    """Output and CPU seconds of a command. Exit 3 says INVALID, which is printed as such."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 3):
        sys.exit(f"{' '.join(command)} ended with {done.returncode}")
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return done.stdout, cpu


def load(harness, url, seconds, *flags):
    command = [harness, "load", url, "--duration", f"{seconds}s", "--quiet", "--output", "json", *flags]
    text, cpu = run(on_core(1, command))
    result = json.loads(text)
    result["cpu_us"] = cpu * 1e6 / max(result["generator"]["sent"], 1)
    return result


def us(ms):
    return "-" if ms is None else f"{ms * 1000:.0f} us"


def open_line(rate, result):
    late, generator = result["lateness_ms"], result["generator"]
    return (
        f"open loop, Poisson {rate:>6}/s: sent {generator['sent'] / generator['elapsed_ns'] * 1e9:.0f}/s, "
        f"lateness p50 {us(late['p50'])}, p99 {us(late['p99'])}, max {us(late['max'])}; "
        f"CPU {result['cpu_us']:.1f} us a request, generator {100 * generator['cpu_share']:.0f} % of a core; "
        f"{generator['connections_opened']} connections; failures {sum(result['failures'].values())}; "
        f"{result['validity']['word']}"
    )


def wrk(url, connections, seconds):
    text, cpu = run(on_core(1, ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", url]))
    rate = next(float(line.split()[1]) for line in text.splitlines() if line.startswith("Requests/sec"))
    return rate, cpu * 1e6 / (rate * seconds)


def resident_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return None


def slope(points):
    """Least squares: MB a minute."""
    n = len(points)
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return 60 * sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


def memory(harness, url, seconds, rate):
    """Resident memory while records are kept on disk, once a second."""
    with tempfile.TemporaryDirectory() as folder:
        command = [harness, "load", url, "--rate", str(rate), "--arrivals", "poisson", "--quiet",
                   "--duration", f"{seconds}s", "--save", f"{folder}/run", "--output", "json"]
        process = subprocess.Popen(on_core(1, command), stdout=subprocess.PIPE, text=True)
        begin, points = time.monotonic(), []
        while process.poll() is None and time.monotonic() - begin < seconds:
            time.sleep(1)
            try:
                now = resident_mb(process.pid)
            except FileNotFoundError:
                break
            if now is not None:
                points.append((time.monotonic() - begin, now))
        text, _ = process.communicate()
        if process.returncode not in (0, 3):
            sys.exit(f"the load ended with {process.returncode}")
        generator = json.loads(text)["generator"]
        size_mb = sum(file.stat().st_size for file in pathlib.Path(folder).rglob("*")) / 2**20
    # The start fills pools and buffers; what counts is whether it goes on.
    steady = points[len(points) // 4:]
    schedule_mb = generator["planned"] * 8 / 2**20
    print(f"memory at {rate}/s over {seconds} s: {steady[0][1]:.1f} MB -> {steady[-1][1]:.1f} MB, "
          f"slope {slope(steady):+.2f} MB a minute (schedule {schedule_mb:.1f} MB, made before; "
          f"{generator['sent']} records, {size_mb:.0f} MB on disk); whole process "
          f"{generator['cpu_seconds'] * 1e6 / generator['sent']:.1f} us CPU a request with records kept")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--harness", default="target/release/harness")
    options.add_argument("--seconds", type=int, default=10)
    options.add_argument("--tries", type=int, default=3)
    options.add_argument("--rates", default="1000,10000,20000")
    options.add_argument("--connections", default="1,8,64")
    options.add_argument("--memory-seconds", type=int, default=60)
    options.add_argument("--memory-rate", type=int, default=20000)
    given = options.parse_args()
    if not pathlib.Path(given.harness).exists():
        sys.exit(f"no binary at {given.harness}: cargo build --release -p harness")
    target = subprocess.Popen(on_core(0, [given.harness, "null-target"]), stdout=subprocess.PIPE, text=True)
    try:
        url = target.stdout.readline().removeprefix("listening on ").strip() + "/"
        for rate in filter(None, given.rates.split(",")):
            flags = ["--rate", rate, "--arrivals", "poisson"]
            tries = [load(given.harness, url, given.seconds, *flags) for _ in range(given.tries)]
            print(open_line(rate, min(tries, key=lambda r: r["lateness_ms"]["p99"])), flush=True)
        for count in filter(None, given.connections.split(",")):
            ours = max((load(given.harness, url, given.seconds, "--connections", count)
                        for _ in range(given.tries)), key=lambda r: r["goodput_rps"])
            line = (f"closed loop, {count:>3} connections: {ours['goodput_rps']:.0f}/s, "
                    f"CPU {ours['cpu_us']:.2f} us a request")
            if shutil.which("wrk"):
                rate, cpu = max(wrk(url, count, given.seconds) for _ in range(given.tries))
                line += (f"; wrk {rate:.0f}/s, CPU {cpu:.2f} us; "
                         f"ratio {ours['goodput_rps'] / rate:.2f}")
            print(line, flush=True)
        if not shutil.which("wrk"):
            print("wrk is not installed (apt-get install wrk): no comparison")
        if given.memory_seconds:
            memory(given.harness, url, given.memory_seconds, given.memory_rate)
    finally:
        target.terminate()


if __name__ == "__main__":
    main()
