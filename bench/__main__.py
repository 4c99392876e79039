"""`python -m bench --what http …`: measures, prints a table, and keeps the figures."""

# ruff: noqa: E402
import argparse
import sys
import tempfile
from pathlib import Path

from world import namespace

from bench import carrying, machine, memory, pods, publishing, results, streams, table

PARTS = {"http": carrying.measure, "memory": memory.measure, "pods": pods.measure, "publish": publishing.measure, "streams": streams.measure, "table": table.measure}


def main():
    """Measures what the arguments say."""
    arguments = read_arguments()
    parts = arguments.parts or list(PARTS)
    found = machine.describe()
    namespace.enter()
    for part in parts:
        print(f"\n{part}", flush=True)
        with tempfile.TemporaryDirectory(prefix="portico-bench-") as directory:
            figures = PARTS[part](Path(directory), arguments)
        results.show(figures)
        if not arguments.discard:
            print(f"kept in {results.keep(part, found, figures)}")


def read_arguments():
    """What to measure, and how long."""
    parser = argparse.ArgumentParser(prog="cargo xtask bench", description="Measures Portico.")
    parser.add_argument("parts", nargs="*", metavar="http|memory|pods|publish|streams|table", help="what to measure; all of it if nothing is said")
    parser.add_argument("--pairs", type=int, default=9, help="rounds of each proxy (default: 9)")
    parser.add_argument("--seconds", type=int, default=4, help="how long one round takes (default: 4)")
    parser.add_argument("--routes", type=int, default=10_000, help="how many endpoints there are (default: 10000)")
    parser.add_argument("--pods", type=int, default=2000, help="how many pods there are (default: 2000)")
    parser.add_argument("--tasks", type=int, default=24, help="how many tasks ask, for the times until they are published (default: 24)")
    parser.add_argument("--only", help="only the kinds of load whose name contains this, for example keep-alive")
    parser.add_argument("--discard", action="store_true", help="print the figures, keep nothing")
    arguments = parser.parse_args()
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"cannot measure {', '.join(unknown)}; known: {', '.join(PARTS)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
