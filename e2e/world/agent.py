"""The unmodified `clearml-agent`: takes tasks from a queue and runs them on the worker's machine."""

import sys
from pathlib import Path

from .layers import layered
from .namespace import GATEWAY
from .process import Process, clean_env

_BIN = Path(sys.executable).parent

_CONFIGURATION = """
api {{
    api_server: "{url}"
    web_server: "http://{gateway}:8080"
    files_server: "http://{gateway}:8081"
    credentials {{ access_key: "{access_key}", secret_key: "{secret_key}" }}
}}
"""


class Agent:
    """One `clearml-agent daemon`, of a user, for one queue."""

    def __init__(self, directory, emulator, user="alice", queue="default", name="worker"):
        self.emulator = emulator
        self.name = f"{name}:0"
        scratch = directory / "tmp"
        scratch.mkdir(parents=True)
        configuration = directory / "clearml.conf"
        configuration.write_text(configuration_of(emulator, user))
        # Session scripts set up an SSH server as root: they write its keys and configuration, root's password and profile.
        argv, env = layered(directory, [_BIN / "clearml-agent", "daemon", "--queue", queue, "--foreground"])
        self.process = Process(
            f"agent-{name}",
            argv,
            directory,
            env=clean_env(
                # The programs of the environment that the tests run in, and those of administrators: sshd.
                PATH=f"{_BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                **env,
                TMPDIR=scratch,
                CLEARML_CONFIG_FILE=configuration,
                CLEARML_WORKER_ID=self.name,
                CLEARML_AGENT_QUEUE_POLL_FREQ_SEC="0.5",
                # Scripts run with the agent's own Python: there is no way to a package index here.
                CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL="1",
            ),
        )

    def is_listening(self):
        """Whether it waits for tasks."""
        return self.process.must_run() and "Listening to queues" in self.process.output()

    def stop(self):
        """Ends it, and what it runs, by force: it waits for its task otherwise."""
        self.process.kill()


def configuration_of(emulator, user):
    """What the user's `clearml.conf` holds."""
    access_key, secret_key = emulator.key(user)
    return _CONFIGURATION.format(url=emulator.url, gateway=GATEWAY, access_key=access_key, secret_key=secret_key)
