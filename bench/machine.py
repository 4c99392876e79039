"""What the figures were measured on."""

import os
import platform
import shutil
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from world.programs import NGINX, PORTICO

ROOT = Path(__file__).resolve().parents[1]


def describe():
    """The machine and the versions of everything that takes part."""
    return {
        "cores": os.cpu_count(),
        "model": _model(),
        "kernel": platform.release(),
        "commit": _commit(),
        "built": _built(),
        "nginx": _says([NGINX, "-v"]).removeprefix("nginx version: nginx/"),
        "wrk": _says([wrk(), "-v"]).splitlines()[0].split(" [")[0].removeprefix("wrk "),
        "rustc": _says(["rustc", "--version"]).removeprefix("rustc "),
        "load_before": os.getloadavg()[0],
    }


def wrk():
    """The program that makes requests."""
    path = shutil.which("wrk")
    if path is None:
        raise SystemExit("wrk is missing: apt-get install --no-install-recommends wrk")
    return path


def _model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _commit():
    commit = _says(["git", "rev-parse", "--short=12", "HEAD"])
    changed = _says(["git", "status", "--porcelain", "--", "crates", "Cargo.toml", "Cargo.lock"])
    return f"{commit} and changes" if changed else commit


def _built():
    """When the binary was built, which need not be of this checkout."""
    built = datetime.fromtimestamp(PORTICO.stat().st_mtime, timezone.utc)
    return f"{built:%Y-%m-%d %H:%M} UTC"


def _says(argv):
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()
