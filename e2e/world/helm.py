"""The real helm, and our chart as it renders it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from .programs import ROOT

CHART = ROOT / "charts" / "portico"
# Without a cluster helm has to be told which it is to render for.
KUBERNETES = "1.34.2"


def _helm():
    given = os.environ.get("PORTICO_HELM")
    found = given or shutil.which("helm")
    if not found or not Path(found).is_file():
        pytest.exit("helm is missing: cargo xtask e2e builds it", returncode=2)
    return found


HELM = _helm()


class Rendering:
    """What helm made, or why it did not."""

    def __init__(self, done):
        self.worked = done.returncode == 0
        self.text = done.stdout
        self.error = done.stderr

    def objects(self):
        """All Kubernetes objects."""
        assert self.worked, self.error
        return [one for one in yaml.safe_load_all(self.text) if one and one["kind"] != "Notes"]

    def one(self, kind, name=None):
        """The only object of that kind, or of that kind and name."""
        (found,) = (o for o in self.objects() if o["kind"] == kind and name in (None, o["metadata"]["name"]))
        return found

    def all(self, kind):
        """All objects of that kind."""
        return [one for one in self.objects() if one["kind"] == kind]

    def config(self):
        """The configuration file that the gateway gets."""
        maps = [one for one in self.all("ConfigMap") if "portico.yaml" in one["data"]]
        return yaml.safe_load(maps[0]["data"]["portico.yaml"])

    def notes(self):
        """What helm prints after the installation."""
        (notes,) = (one for one in yaml.safe_load_all(self.text) if one and one["kind"] == "Notes")
        return notes["text"]


class Chart:
    """A copy of the chart that remembers what it rendered, and whose NOTES.txt is rendered like the objects: helm
    shows them only after an installation.
    """

    def __init__(self, directory):
        self.home = directory / "portico"
        shutil.copytree(CHART, self.home)
        templates = self.home / "templates"
        notes = (templates / "NOTES.txt").read_text()
        (templates / "NOTES.txt").unlink()
        (templates / "_notes.tpl").write_text('{{- define "test.notes" -}}\n' + notes + "{{- end -}}\n")
        self._rendered = {}
        (templates / "notes.yaml").write_text('kind: Notes\ntext: |\n  {{- include "test.notes" . | nindent 2 }}\n')

    def render(self, values=None, *, file=None, release="main", namespace="workloads", options=()):
        """Renders it with values, a mapping, and those of a file."""
        command = [HELM, "template", release, self.home, "--namespace", namespace, "--kube-version", KUBERNETES, *options]
        if file:
            command += ["--values", file]
        command += ["--values", "-"]
        given = yaml.safe_dump(values or {})
        key = (*command, given)
        if key not in self._rendered:
            done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=60)
            self._rendered[key] = Rendering(done)
        return self._rendered[key]


def run(*arguments):
    """What helm says."""
    return subprocess.run([HELM, *arguments], capture_output=True, text=True, check=True, timeout=60).stdout
