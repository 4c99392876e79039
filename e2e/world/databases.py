"""PostgreSQL and Redis as Debian has them, on the worker's machine."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from .namespace import WORKER, free_port
from .process import Process, clean_env
from .wait import until

PASSWORD = "database-password-of-the-tests"


def _answers(port):
    with socket.create_connection((WORKER, port), 1):
        return True


class Postgres:
    """One PostgreSQL with an empty database. It refuses to run as root."""

    def __init__(self, directory):
        self.port = free_port()
        programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        owner = pwd.getpwnam("postgres")
        # Who changes its user forgets that it is to end with the tests: it is told again.
        as_owner = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", "--pdeathsig=KILL", "--"]
        # The tests' own directories are closed to other users.
        self._data = Path(tempfile.mkdtemp(prefix="portico-postgres-"))
        password = self._data / "password"
        password.write_text(PASSWORD)
        for path in (self._data, password):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        cluster = self._data / "cluster"
        subprocess.run(
            [
                *(*as_owner, programs / "initdb", "-D", cluster, "--no-sync", "--locale=C.UTF-8"),
                *("--auth=scram-sha-256", "--pwfile", password),
            ],
            env=clean_env(),
            cwd=self._data,
            capture_output=True,
            check=True,
        )
        settings = {"listen_addresses": WORKER, "unix_socket_directories": "", "fsync": "off"}
        # The cluster lets in only its own machine.
        with open(cluster / "pg_hba.conf", "a") as rules:
            rules.write("host all all all scram-sha-256\n")
        self.process = Process(
            f"postgres-{self.port}",
            [*as_owner, programs / "postgres", "-D", cluster, "-p", self.port, *(f"--{name}={value}" for name, value in settings.items())],
            directory,
            env=clean_env(),
            cwd=self._data,
        )
        until(lambda: self.process.must_run() and _answers(self.port), what="PostgreSQL answers")

    def stop(self):
        """Ends it and removes its data."""
        try:
            self.process.kill()
        finally:
            shutil.rmtree(self._data, ignore_errors=True)


class Redis:
    """One Redis."""

    def __init__(self, directory):
        self.port = free_port()
        self.process = Process(
            f"redis-{self.port}",
            ["redis-server", "--bind", WORKER, "--port", self.port, "--requirepass", PASSWORD, "--save", "", "--dir", "."],
            directory,
            env=clean_env(),
        )
        until(lambda: self.process.must_run() and _answers(self.port), what="Redis answers")

    def stop(self):
        """Ends it."""
        self.process.stop()
