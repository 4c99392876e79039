"""What happens to a cluster: addresses are given to others, the API server dies. And visitors who keep coming meanwhile."""

import json
import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
from kubernetes_world import CLEARML, until

RUN = Path(os.environ["PORTICO_CLUSTER_AUDIT"]).parents[1]


class Visits:
    """Somebody who asks again and again, from `with` to its end: a task's application through the gateway, or whoever is at the address."""

    def __init__(self, gateway, task, pause=0.02, address=None):
        self.gateway, self.pause = gateway, pause
        self.address = address or f"{gateway.url}/service/{task}"
        # What comes through a TCP endpoint is the application's own: it learns no keys, and each visit dials anew.
        self.client = {"headers": {"connection": "close"}} if address else {"auth": gateway.cluster.key("alice")}
        self.answers, self._stop = [], threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        with httpx.Client(**self.client, trust_env=False, timeout=10) as client:
            while not self._stop.is_set():
                try:
                    status = client.get(f"{self.address}/debug.ping").status_code
                except httpx.TransportError as error:
                    status = repr(error)
                self.answers.append((time.monotonic(), status))
                # Not a wait for anything: how often somebody comes.
                self._stop.wait(self.pause)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def since(self, moment):
        """The answers since then."""
        return [status for at, status in self.answers if at >= moment]


def address(cluster, namespace, pod):
    """The address that stands in a pod, also of one that has ended."""
    return cluster.get(namespace, "pod", pod)["status"].get("podIP")


def is_free(given):
    """Whether the node has taken the address back."""
    return not next(RUN.glob(f"addresses/*/{given}"), None)


def far_address():
    """A free address whose turn does not come soon, so that nobody else takes it meanwhile."""
    (note,) = RUN.glob("addresses/*/last_reserved_ip.0")
    before, last = note.read_text().rsplit(".", 1)
    far = (f"{before}.{(int(last) + step) % 250 + 3}" for step in range(100, 200))
    return next(given for given in far if is_free(given))


@contextmanager
def gives_next(given):
    """The next pod of the node gets this address, which must be free: the node gives them out in turn, and goes on with that afterwards."""
    before, last = given.rsplit(".", 1)
    (note,) = RUN.glob("addresses/*/last_reserved_ip.0")
    turn = note.read_text()
    note.write_text(f"{before}.{int(last) - 1}")
    try:
        yield
    finally:
        note.write_text(turn)


def tell_neighbors(pod):
    """Lets a pod and the node forget which machine had which address. The cluster's own network does not announce it, and who spoke with the
    one before remembers for half a minute: whoever gets the address is out of reach for so long, which would hide what is looked for."""
    forget = ["ip", "neighbor", "flush", "all"]
    for place in ([], ["nsenter", f"--net=/proc/{process_of(pod)}/ns/net"]):
        subprocess.run([*place, *forget], check=True, capture_output=True)


def process_of(pod):
    """The number of one of a pod's processes."""
    uid = pod["metadata"]["uid"]
    for cgroup in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            if uid in cgroup.read_text():
                return cgroup.parent.name
        except OSError:
            continue
    raise AssertionError(f"no process of the pod {uid}")


class ApiServer:
    """The process, which may die and come again."""

    def __init__(self):
        self.note = RUN / "pids/kube-apiserver"
        self.pid = int(self.note.read_text().split()[0])
        self.command = Path(f"/proc/{self.pid}/cmdline").read_bytes().decode().split("\0")[:-1]

    def kill(self):
        """Ends it as a power cut does."""
        os.kill(self.pid, signal.SIGKILL)
        until(lambda: not self._answers(), "the API server is gone")

    def start(self):
        """Starts it again, as it was started at first, and waits until it answers."""
        with (RUN / "logs/kube-apiserver.log").open("a") as log:
            process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0)
        self.pid = process.pid
        born = Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1].split()[19]
        self.note.write_text(f"{self.pid} {born}")
        until(self._answers, "the API server answers again")

    @staticmethod
    def _answers():
        done = subprocess.run(
            [*os.environ["PORTICO_CLUSTER_KUBECTL"].split(), "get", "--raw", "/readyz", "--request-timeout=2s"],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout == "ok"


def calls(cluster, pod_address, port=7000):
    """How often each call was made to the server in a pod that is another ClearML."""
    return httpx.get(f"http://{pod_address}:{port}/_emulator/calls", trust_env=False, timeout=10).json()["calls"]


def writes(cluster, task):
    """Who wrote which key of a task."""
    return httpx.get(f"{CLEARML}/_emulator/writes", params={"task": task}, trust_env=False, timeout=30).json()["writes"]


class Audit:
    """The API server's audit log from now on, as it grows and is put aside."""

    def __init__(self):
        self.path = Path(os.environ["PORTICO_CLUSTER_AUDIT"])
        self.file = self.path.open()
        self.file.seek(0, os.SEEK_END)
        self.events = []

    def of(self, account):
        """What an account (its uid) asked of the API server, and with what success."""
        while True:
            is_current = os.fstat(self.file.fileno()).st_ino == self.path.stat().st_ino
            while line := self._line():
                if account in line:
                    self.events.append(json.loads(line))
            if is_current:
                break
            self.file = self.path.open()
        for event in self.events:
            what = event.get("objectRef") or {"resource": event["requestURI"]}
            resource = "/".join(what[part] for part in ("resource", "subresource") if part in what)
            name = what.get("name", "") if event["verb"] != "create" else ""
            yield (what.get("namespace"), resource, name, event["verb"]), event["responseStatus"]["code"]

    def _line(self):
        """The next line, if all of it has been written."""
        begin = self.file.tell()
        line = self.file.readline()
        if line.endswith("\n"):
            return line
        self.file.seek(begin)
        return ""
