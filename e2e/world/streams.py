"""TCP endpoints as their users see them: a gateway that offers them, the address that it publishes, what they hold to it."""

import json
import re
import subprocess
import sys
from importlib import metadata

from .programs import ROOT
from .wait import until

# The host of TCP endpoints, as the pages call the gateway. Ports are those of the pages, below the ones that the kernel takes for
# outgoing connections and above those of everything else here.
NAME = "gateway.example.com"
FIRST, LAST = 30000, 30999

_BANNER = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as peer:
    peer.settimeout(10)
    sys.stdout.write(peer.makefile().readline())
"""


def offered(start, end):
    """The gateway's environment that makes it offer TCP endpoints on those ports."""
    return {
        "ROUTER__STREAM__EXTERNAL_URL": NAME,
        "ROUTER__STREAM__PORT_RANGE__START": start,
        "ROUTER__STREAM__PORT_RANGE__END": end,
    }


def public_port(gateway, task, suffix="", within=60):
    """Waits until the task says where it is reached through the gateway; returns the port."""

    def published():
        gateway.process.must_run()
        held = gateway.emulator.task(task)
        runtime = held.get("runtime", {})
        port = int(runtime.get(f"external_tcp_port{suffix}") or 0)
        is_ours = runtime.get(f"external_address{suffix}") == NAME and FIRST <= port <= LAST
        assert is_ours, f"{held['status']}, {held.get('system_tags')}, {runtime}"
        return port

    return until(published, within, what=f"the public port of task {task} is published")


def banner(laptop, port, host=NAME):
    """The first line that the server behind the port says."""
    return laptop.run(sys.executable, "-c", _BANNER, host, port).stdout.strip()


def is_refused(laptop, port, host=NAME):
    """Whether nobody listens there."""
    done = laptop.run("bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}", check=False)
    return done.returncode != 0 and "Connection refused" in done.stderr


class Report:
    """What the proof saw, for those who read `target/e2e/streams.json` instead of running it."""

    PATH = ROOT / "target" / "e2e" / "streams.json"

    def __init__(self):
        self.seen = {"clients": {name: metadata.version(name) for name in ("clearml", "clearml-agent", "clearml-session", "jupyterlab")}}
        for program, option in (("ssh", "-V"), ("psql", "--version"), ("redis-cli", "--version")):
            said = subprocess.run([program, option], capture_output=True, text=True, check=True)
            self.seen["clients"][program] = (said.stdout + said.stderr).strip()

    def note(self, section, **what):
        """Adds to a section."""
        self.seen.setdefault(section, {}).update(what)

    def write(self):
        """Writes it down."""
        self.PATH.parent.mkdir(parents=True, exist_ok=True)
        self.PATH.write_text(json.dumps(self.seen, indent=2) + "\n")


def key_fingerprint(laptop, port, host=NAME):
    """The fingerprint of the SSH server's key there."""
    keys = laptop.run("ssh-keyscan", "-p", port, "-t", "ed25519", host).stdout
    known = laptop.run("ssh-keygen", "-l", "-f", "-", input=keys).stdout
    return re.search(r"SHA256:\S+", known)[0]
