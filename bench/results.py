"""Figures as tables, on the terminal and in `bench/results/`."""

import json
from datetime import datetime, timezone

from bench.machine import ROOT

_PLACE = ROOT / "bench" / "results"
_PAGE = _PLACE / "README.md"


def show(figures):
    """Prints the table."""
    print(_table(figures))


def keep(part, machine, figures):
    """Writes the figures with what they were measured on, and adds the table to the page; returns the file."""
    now = datetime.now(timezone.utc)
    file = _PLACE / f"{now:%Y-%m-%d}-{part}.json"
    taken = 2
    while file.exists():
        file = _PLACE / f"{now:%Y-%m-%d}-{part}-{taken}.json"
        taken += 1
    _PLACE.mkdir(exist_ok=True)
    file.write_text(json.dumps({"time": now.isoformat(timespec="seconds"), "machine": machine, **figures}, indent=1) + "\n")
    with _PAGE.open("a") as page:
        page.write(f"\n## {figures['title']}, {now:%Y-%m-%d %H:%M} UTC, {machine['commit']}\n\n{_table(figures)}\n\n")
        page.write(
            f"Binary of {machine['built']}; load average before: {machine['load_before']:.1f}. "
            f"{machine['cores']} cores, {machine['model']}, Linux {machine['kernel']}; nginx {machine['nginx']}, "
            f"wrk {machine['wrk']}, rustc {machine['rustc'].split()[0]}. [Every round]({file.name}).\n"
        )
    return file.relative_to(ROOT)


def _table(figures):
    lines = [figures["columns"], ["---"] * len(figures["columns"]), *figures["rows"]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
