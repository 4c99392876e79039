"""What the tests in the cluster measured, for those who read it instead of running them."""

import json

from kubernetes_world import ROOT


class Report:
    """Sections of figures in `target/e2e/cluster.json`. What other tests wrote there stays."""

    PATH = ROOT / "target" / "e2e" / "cluster.json"

    def __init__(self):
        self._seen = {}

    def note(self, section, **what):
        """Adds to a section."""
        self._seen.setdefault(section, {}).update(what)

    def write(self):
        """Writes it down."""
        self.PATH.parent.mkdir(parents=True, exist_ok=True)
        known = json.loads(self.PATH.read_text()) if self.PATH.is_file() else {}
        for section, what in self._seen.items():
            known.setdefault(section, {}).update(what)
        self.PATH.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
