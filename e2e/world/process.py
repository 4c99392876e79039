"""Programs that the tests start, and what they wrote."""

import ctypes
import os
import signal
import subprocess

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _end_with_the_tests():
    """Nothing stays behind when the tests' own process is ended by force."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


# All that run now: their output is shown when a test fails.
RUNNING = []


class Process:
    """A program with its output in files; ended together with whatever it started."""

    def __init__(self, name, argv, directory, env=None, **options):
        self.name = name
        directory.mkdir(parents=True, exist_ok=True)
        self.stdout_path = directory / f"{name}.stdout"
        self.stderr_path = directory / f"{name}.stderr"
        with open(self.stdout_path, "ab") as stdout, open(self.stderr_path, "ab") as stderr:
            self.popen = subprocess.Popen(
                [str(part) for part in argv],
                env=env,
                stdin=options.pop("stdin", subprocess.DEVNULL),
                stdout=stdout,
                stderr=stderr,
                cwd=options.pop("cwd", directory),
                start_new_session=True,
                preexec_fn=_end_with_the_tests,
                **options,
            )
        RUNNING.append(self)

    @property
    def pid(self):
        """The process id."""
        return self.popen.pid

    def is_running(self):
        """Whether it has not ended by itself."""
        return self.popen.poll() is None

    def stdout(self):
        """What it wrote so far."""
        return self.stdout_path.read_text(errors="replace")

    def stderr(self):
        """What it complained about so far."""
        return self.stderr_path.read_text(errors="replace")

    def output(self):
        """Both."""
        return self.stdout() + self.stderr()

    def must_run(self):
        """Fails at once when it has ended, with its last words, instead of letting a wait run out."""
        if not self.is_running():
            words = self.output()[-4000:]
            raise RuntimeError(f"{self.name} ended with status {self.popen.returncode}:\n{words}")
        return True

    def stop(self, by=signal.SIGTERM, within=15):
        """Ends it; by force when it does not listen."""
        if self in RUNNING:
            RUNNING.remove(self)
        if self.popen.poll() is None:
            self.popen.send_signal(by)
        try:
            self.popen.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {within} s of {by.name}") from None
        finally:
            self._kill_group()
        return self.popen.returncode

    def kill(self):
        """Ends it by force, as a crash would."""
        if self in RUNNING:
            RUNNING.remove(self)
        self._kill_group()
        self.popen.wait()

    def _kill_group(self):
        # It is the leader of its own session, so the group is its own, too.
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def clean_env(**more):
    """An environment without the caller's own settings for what is tested."""
    foreign = ("CLEARML", "TRAINS", "PORTICO_", "ROUTER_", "JUPYTER", "RUST_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "PYTEST")
    env = {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}
    env.update({name: str(value) for name, value in more.items() if value is not None})
    return env
