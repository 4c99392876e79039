"""The unmodified `clearml-session`, as somebody starts it in a terminal, and SSH."""

import re
import sys
from pathlib import Path

from .agent import configuration_of
from .gateway import MARKER
from .terminal import Terminal
from .wait import until

# It stands in the task, and in no log of the gateway.
PASSWORD = f"session-{MARKER}"
# What it would ask for otherwise, and what it would fetch from the world outside.
_ANSWERS = ("--password", PASSWORD, "--yes", "--disable-store-defaults", "--vscode-server", "false", "--skip-docker-network", "true")
_BIN = Path(sys.executable).parent


class Session(Terminal):
    """One client on somebody's laptop, by the command that is typed there."""

    def __init__(self, directory, laptop, emulator, command, user="alice"):
        self.laptop = laptop
        self.emulator = emulator
        home = directory / "home"
        home.mkdir(parents=True)
        configuration = directory / "clearml.conf"
        configuration.write_text(configuration_of(emulator, user))
        program, *options = command.split()
        self._attached = options[options.index("--attach") + 1] if "--attach" in options else None
        # What the command says comes last, so that it holds.
        argv = [_BIN / program, *_ANSWERS, *options]
        super().__init__(laptop, argv, directory.name, HOME=home, CLEARML_CONFIG_FILE=configuration, TMPDIR=home)

    @property
    def task(self):
        """The task's id, as soon as it was said."""
        return self._attached or self.shows(r"New session created \[id=(\w+)\]")[1]

    def dials(self):
        """Addresses that the client opened SSH to, in order."""
        return [f"{host}:{port}" for host, port in re.findall(r"Starting SSH tunnel to \S+@(\S+), port (\d+)", self.screen)]

    def is_up(self, within=60, since=0):
        """Waits until the client says that the session can be used; returns the port of SSH on the laptop."""
        return int(self.shows(r"ssh \S+@localhost -p (\d+)", within, since)[1])

    def jupyter_url(self, within=60):
        """Where JupyterLab is on the laptop, with its token."""
        return self.shows(r"Jupyter Lab URL: (\S+)", within)[1]

    def shut_down(self, within=30):
        """Ends the session as its user does."""
        self.types("Shutdown")
        until(lambda: self.emulator.task(self.task)["status"] in ("stopped", "completed"), within, "the session's task stops")


class Ssh:
    """OpenSSH's own programs on the laptop, with the session's password and nothing remembered of its server."""

    _OPTIONS = ("-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR")

    def __init__(self, laptop, port, host, password=PASSWORD):
        self.laptop = laptop
        self.password = password
        self.port = port
        self.host = host

    def _start(self, program):
        return ["sshpass", "-p", self.password, program, *self._OPTIONS]

    def run(self, command, within=30):
        """What the command on the worker says."""
        done = self.laptop.run(*self._start("ssh"), "-p", self.port, f"root@{self.host}", command, within=within)
        return done.stdout.strip()

    def types(self, command, within=120):
        """Runs one of those programs as it is typed on the laptop."""
        program, *arguments = command.split()
        self.laptop.run(*self._start(program), *arguments, within=within)
