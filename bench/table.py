"""The route table by itself: how long it takes to build, to change, and to find a route in it."""

import os
import re
import subprocess

from bench.machine import ROOT

_LINE = re.compile(r"(\d+) endpoints: build (\S+), one change (\S+), resolve (\S+)")


def measure(_directory, _arguments):
    """What the example of portico-core says."""
    argv = [os.environ.get("CARGO", "cargo"), "run", "--quiet", "--release", "--offline", "-p", "portico-core", "--example", "table_speed"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    return {
        "title": "The route table",
        "columns": ["endpoints", "build", "one change", "find one"],
        "rows": [list(found) for found in _LINE.findall(done.stdout)],
    }
