"""Where the programs are."""

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _built(variable, name):
    path = Path(os.environ.get(variable) or ROOT / "target" / "debug" / name)
    if not path.is_file():
        pytest.exit(f"{path} is missing: cargo xtask e2e builds it", returncode=2)
    return path


def _installed(name, package):
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/bin")
    if path is None:
        pytest.exit(f"{name} is missing: apt-get install --no-install-recommends {package}", returncode=2)
    return path


PORTICO = _built("PORTICO_BIN", "portico")
EMULATOR = _built("PORTICO_EMULATOR_BIN", "clearml-emulator")
CHROMIUM = _installed("chromium", "chromium")
NGINX = _installed("nginx", "nginx-light")
CURL = _installed("curl", "curl")
# Programs of the Python packages lie beside the interpreter.
JUPYTER = Path(sys.executable).parent / "jupyter"
