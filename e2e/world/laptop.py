"""A user's machine, outside: it reaches the gateway's machine, and nothing of what is behind it."""

import itertools
import os
import subprocess
from pathlib import Path

from .layers import layered
from .namespace import GATEWAY, WORKER, ip
from .process import Process, clean_env
from .wait import until

# RFC 2544's other half.
_NETWORK = "198.19.{number}"
_number = itertools.count(1)


class Laptop:
    """Programs with a network and process numbers of their own. Whatever was started here ends with it.

    The worker's address is its own here, and nothing listens on it: who dials it is refused, as by any machine that
    happens to have the address of somebody's pod.
    """

    def __init__(self, directory):
        number = next(_number)
        self.home = directory / "home"
        self.home.mkdir(parents=True)
        self.address = f"{_NETWORK.format(number=number)}.2"
        argv, env = layered(directory, ["sleep", "infinity"], "--net")
        self.process = Process(f"laptop-{number}", argv, directory, env=clean_env(**env))
        self._first = until(self._child, what="the laptop's first process runs")
        self._connect(number)

    def _child(self):
        """The first process in there, once it is what was asked for and all is prepared."""
        self.process.must_run()
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return children and os.readlink(f"/proc/{children[0]}/exe").endswith("sleep") and children[0]

    def _connect(self, number):
        here, outside = f"laptop{number}", f"outside{number}"
        ip(f"link add {here} type veth peer name {outside} netns {self._first}")
        ip(f"address add {_NETWORK.format(number=number)}.1/24 dev {here}")
        ip(f"link set {here} up")
        for arguments in (
            "link set lo up",
            f"address add {self.address}/24 dev {outside}",
            f"link set {outside} up",
            f"route add {GATEWAY}/32 via {_NETWORK.format(number=number)}.1",
            f"address add {WORKER}/32 dev lo",
        ):
            self.run("ip", *arguments.split())

    def inside(self, *argv, cwd=None):
        """The command that runs another one on the laptop, in its user's home if nothing else is said."""
        # In there: who enters other mounts leaves its directory behind.
        entered = ["nsenter", "--target", self._first, "--net", "--pid", "--mount", f"--wdns={cwd or self.home}"]
        return [*entered, "--", *(str(part) for part in argv)]

    def launcher(self, program):
        """A program that starts that one in this machine's network, with everything else as it is here."""
        script = self.home / f"{Path(program).name}-here"
        script.write_text(f'#!/bin/sh\nexec nsenter --target {self._first} --net {program} "$@"\n')
        script.chmod(0o755)
        return script

    def knows(self, name, address=GATEWAY):
        """From now on the name is that address here."""
        self.run("sh", "-c", f"echo {address} {name} >> /etc/hosts")

    def run(self, *argv, within=30, check=True, **options):
        """Runs a program there to its end; returns what it did."""
        options = {"stdin": subprocess.DEVNULL} | options if "input" not in options else options
        done = subprocess.run(
            self.inside(*argv, cwd=options.pop("cwd", None)),
            env=options.pop("env", self.env()),
            capture_output=True,
            text=options.pop("text", True),
            timeout=within,
            check=False,
            **options,
        )
        assert not check or done.returncode == 0, f"{' '.join(map(str, argv))}: {done.stdout}{done.stderr}"
        return done

    def env(self, **more):
        """The environment of somebody who works there."""
        return clean_env(**{"HOME": self.home, "TERM": "dumb"} | more)

    def stop(self):
        """Switches it off."""
        self.process.kill()
