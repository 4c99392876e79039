"""The unmodified `clearml-session`, as somebody starts it in a terminal."""

import re
import sys
import threading
from pathlib import Path

import pexpect

from . import process
from .agent import configuration_of
from .gateway import MARKER
from .wait import until

_PROGRAM = Path(sys.executable).parent / "clearml-session"
# It stands in the task, and in no log of the gateway.
PASSWORD = f"session-{MARKER}"


class Session:
    """One client on somebody's laptop. Its terminal is read all the time; what it showed is `screen`."""

    def __init__(self, directory, laptop, emulator, *options, user="alice", jupyter=False, attach=None):
        self.laptop = laptop
        self.emulator = emulator
        directory.mkdir(parents=True)
        home = directory / "home"
        home.mkdir()
        configuration = directory / "clearml.conf"
        configuration.write_text(configuration_of(emulator, user))
        self.command = [
            *(str(_PROGRAM), "--queue", "default", "--router-enabled", "true", "--jupyter-lab", str(jupyter).lower()),
            *("--vscode-server", "false", "--skip-docker-network", "true", "--password", PASSWORD),
            *("--yes", "--disable-store-defaults", *options),
            *(("--attach", attach) if attach else ()),
        ]
        self._attached = attach
        self.name = directory.name
        self.screen = ""
        inside = laptop.inside(*self.command)
        self._terminal = pexpect.spawn(
            inside[0],
            inside[1:],
            cwd=str(home),
            env=laptop.env(HOME=home, CLEARML_CONFIG_FILE=configuration, TMPDIR=home),
            encoding="utf-8",
            codec_errors="replace",
            dimensions=(60, 200),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        process.RUNNING.append(self)

    def _read(self):
        while True:
            try:
                self.screen += self._terminal.read_nonblocking(4096, timeout=None)
            except (pexpect.EOF, OSError, ValueError):
                return

    def stdout(self):
        """What the terminal shows."""
        return self.screen

    def stderr(self):
        """The same terminal."""
        return ""

    def shows(self, pattern, within=60, since=0):
        """Waits until the terminal shows it behind that place; returns what was found."""
        return until(lambda: re.search(pattern, self.screen[since:]), within, f"clearml-session shows {pattern!r}")

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

    def types(self, line):
        """Types a line."""
        self._terminal.send(f"{line}\r")

    def shut_down(self, within=30):
        """Ends the session as its user does."""
        self.types("Shutdown")
        until(lambda: self.emulator.task(self.task)["status"] in ("stopped", "completed"), within, "the session's task stops")

    def stop(self):
        """Closes the terminal. What still runs ends with the laptop."""
        if self in process.RUNNING:
            process.RUNNING.remove(self)
        self._terminal.close(force=True)
        self._reader.join(5)


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

    def upload(self, path, remote, within=120):
        """Copies a file there."""
        self.laptop.run(*self._start("scp"), "-P", self.port, path, f"root@{self.host}:{remote}", within=within)

    def download(self, remote, path, within=120):
        """Copies a file from there."""
        self.laptop.run(*self._start("scp"), "-P", self.port, f"root@{self.host}:{remote}", path, within=within)
