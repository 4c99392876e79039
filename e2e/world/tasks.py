"""Tasks: the unmodified ClearML SDK in processes of their own."""

import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

from .namespace import GATEWAY
from .process import Process, clean_env

_PROGRAM = Path(__file__).with_name("task_program.py")


class TaskFailed(AssertionError):
    """What was raised in the task's process."""


class SdkTask:
    """A process that calls `Task.init` and then does what the test says."""

    def __init__(self, emulator, directory, user="alice", name="notebook"):
        access_key, secret_key = emulator.key(user)
        home = directory / f"home-of-{name.replace(' ', '-')}"
        home.mkdir(parents=True)
        # Outside of this checkout, as a user's script: the SDK looks through the repository that it finds itself in.
        program = shutil.copy(_PROGRAM, directory)
        env = clean_env(
            HOME=home,
            CLEARML_API_HOST=emulator.url,
            CLEARML_WEB_HOST=f"http://{GATEWAY}:8080",
            CLEARML_FILES_HOST=f"http://{GATEWAY}:8081",
            CLEARML_API_ACCESS_KEY=access_key,
            CLEARML_API_SECRET_KEY=secret_key,
        )
        read, write = os.pipe()
        self._answers = os.fdopen(read)
        self.process = Process(
            f"task-{name.replace(' ', '-')}",
            [sys.executable, program, str(write)],
            directory,
            env=env,
            stdin=subprocess.PIPE,
            pass_fds=[write],
        )
        os.close(write)
        self.id = self.do("init", project="e2e", name=name)

    def do(self, what, within=60, **arguments):
        """Has the task do something, and returns what came of it."""
        line = json.dumps({"what": what, **arguments}) + "\n"
        self.process.popen.stdin.write(line.encode())
        self.process.popen.stdin.flush()
        ready, _, _ = select.select([self._answers], [], [], within)
        assert ready, f"the task did not finish {what} within {within} s:\n{self.process.output()[-4000:]}"
        answer = self._answers.readline()
        if not answer:
            raise TaskFailed(f"the task ended while it did {what}:\n{self.process.output()[-4000:]}")
        answer = json.loads(answer)
        if "error" in answer:
            raise TaskFailed(answer["error"])
        return answer["value"]

    def request(self, port, name=None, wait=True, protocol="http"):
        """`request_external_endpoint` as a user's code calls it."""
        return self.do("request", port=port, name=name, wait=wait, protocol=protocol)

    def close(self):
        """Closes the task as its program's end does: it is completed afterwards."""
        self.do("close")

    def stop(self):
        """Ends the process if it still runs."""
        self._answers.close()
        if self.process.is_running():
            self.process.kill()
        self.process.popen.stdin.close()
