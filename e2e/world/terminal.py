"""A terminal on somebody's laptop, for programs that ask and want an answer."""

import re
import threading

import pexpect

from . import process
from .wait import until


class Terminal:
    """One program in a terminal. It is read all the time; what it showed is `screen`."""

    def __init__(self, laptop, argv, name, **env):
        self.name = name
        self.screen = ""
        home = env.get("HOME", laptop.home)
        inside = laptop.inside(*argv, cwd=home)
        self._terminal = pexpect.spawn(
            inside[0],
            inside[1:],
            env=laptop.env(**env),
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
        """What it shows, among the outputs of other programs."""
        return self.screen

    def stderr(self):
        """The same screen."""
        return ""

    def shows(self, pattern, within=60, since=0):
        """Waits until it shows that behind that place; returns what was found."""
        return until(lambda: re.search(pattern, self.screen[since:]), within, f"the terminal of {self.name} shows {pattern!r}")

    def types(self, line):
        """Types a line."""
        self._terminal.send(f"{line}\r")

    def stop(self):
        """Closes it. What still runs ends with the laptop."""
        if self in process.RUNNING:
            process.RUNNING.remove(self)
        self._terminal.close(force=True)
        self._reader.join(5)
