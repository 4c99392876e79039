"""Requests from wrk, and what they cost the process that carries them."""

import os
import re
import statistics
import subprocess
from contextlib import contextmanager
from pathlib import Path

from bench.machine import wrk

# The proxy has a core of its own; requests and the application share the other.
PROXY_CORE = 0
OTHER_CORE = os.cpu_count() - 1

_TICKS = os.sysconf("SC_CLK_TCK")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@contextmanager
def on_core(core):
    """What is started inside runs on that core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pids):
    """The CPU time that these processes have used, with all their threads."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def resident_kib(pids):
    """The memory that these processes have in use."""
    return _status(pids, "VmRSS")


def most_kib(pids):
    """The most memory that these processes have ever had in use."""
    return _status(pids, "VmHWM")


def _status(pids, name):
    return sum(int(re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) for pid in pids)


def run(url, headers, pids, seconds, connections=64):
    """One round: what wrk saw, and the CPU time of `pids` for one request."""
    argv = [wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency"]
    for name, value in headers.items():
        argv += ["-H", f"{name}: {value}"]
    before = cpu_seconds(pids)
    with on_core(OTHER_CORE):
        done = subprocess.run([*argv, url], capture_output=True, text=True, check=True)
    used = cpu_seconds(pids) - before
    text = done.stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"{url} does not answer as it should:\n{text}")
    requests = int(re.search(r"(\d+) requests in", text)[1])
    return {
        "requests_per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        "cpu_microseconds_per_request": used / requests * 1e6,
        "cores_used": used / seconds,
        "p50_ms": _latency(text, "50"),
        "p99_ms": _latency(text, "99"),
    }


def _latency(text, percent):
    number, unit = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)\b", text, re.MULTILINE).groups()
    return float(number) * _UNITS[unit] * 1e3


def medians(rounds):
    """The median of each figure."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def ratio(ours, theirs, name):
    """The median of the ratios within a pair: what disturbs the machine disturbs both halves of it."""
    return statistics.median(one[name] / other[name] for one, other in zip(ours, theirs, strict=True))
