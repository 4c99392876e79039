"""The cluster as its users see it: kubectl, helm, and addresses that answer."""

import json
import os
import subprocess
import time
from pathlib import Path

import httpx

NODE = "198.18.0.1"
CLEARML = "http://198.18.2.100:8008"
ROOT = Path(__file__).parents[2]


def until(condition, what, within=180):
    """What the condition says once it says anything.

    That nobody answers counts as "not yet": a node port is there some time after its Service, and a route after its Ingress.
    """
    begin = time.monotonic()
    end = begin + within
    while True:
        said, cause = None, None
        try:
            said = condition()
        except httpx.TransportError as error:
            cause = error
        if said:
            return said
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {within} s") from cause
        # Most questions start a kubectl: what takes longer is not asked for so often, because the cluster needs the processor.
        time.sleep(0.05 if time.monotonic() < begin + 2 else 0.25)


def merge(values, more):
    """Puts `more` into `values`, into their depth."""
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(values.get(name), dict):
            merge(values[name], value)
        else:
            values[name] = value


class Cluster:
    """One node, its objects, and the ClearML server that runs there."""

    def kubectl(self, *arguments, given=None):
        """What kubectl prints, as the administrator."""
        return self._run(os.environ["PORTICO_CLUSTER_KUBECTL"].split(), arguments, given)

    def helm(self, *arguments, given=None):
        """What helm prints, as the administrator."""
        return self._run(os.environ["PORTICO_CLUSTER_HELM"].split(), arguments, given)

    def _run(self, program, arguments, given):
        done = subprocess.run([*program, *arguments], input=given, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, f"{program[0]} {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def apply(self, *objects):
        """Makes or changes objects."""
        self.kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def get(self, namespace, *what):
        """Objects as Kubernetes tells of them."""
        return json.loads(self.kubectl("-n", namespace, "get", *what, "-o", "json"))

    def namespace(self, name):
        """A namespace whose pods may be made."""
        # One of a run before may still be going.
        until(lambda: "Terminating" not in self.kubectl("get", "namespace", name, "--ignore-not-found"), "the namespace is free")
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        until(lambda: "default" in self.kubectl("-n", name, "get", "serviceaccounts"), "the namespace has an account")

    def start_clearml(self):
        """The emulated ClearML server, as a Deployment with a Service."""
        self.namespace("clearml")
        labels = {"app": "clearml"}
        container = {
            "name": "clearml",
            "image": "portico.local/emulator:dev",
            "imagePullPolicy": "Never",
            "args": ["--listen", "0.0.0.0:8008", "--control", "--feature-set", "advanced"],
            # A pod that asks for nothing gets next to nothing on a machine that is busy.
            "resources": {"requests": {"cpu": "250m"}},
        }
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        deployment = {"selector": {"matchLabels": labels}, "template": pod}
        service = {"clusterIP": "198.18.2.100", "selector": labels, "ports": [{"port": 8008}]}
        about = {"name": "clearml", "namespace": "clearml"}
        self.apply(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": about, "spec": deployment},
            {"apiVersion": "v1", "kind": "Service", "metadata": about, "spec": service},
        )
        until(lambda: self._answers(f"{CLEARML}/_emulator/actors"), "the ClearML server answers")
        self.actors = {actor["login"]: actor for actor in self.ask("actors")["actors"]}

    @staticmethod
    def _answers(url):
        try:
            return httpx.get(url, trust_env=False, timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, what, **query):
        """What one of the server's controls says."""
        return httpx.get(f"{CLEARML}/_emulator/{what}", params=query, trust_env=False, timeout=30).json()

    def key(self, login):
        """An actor's API key and secret."""
        key = self.actors[login]["key"]
        return key["access_key"], key["secret_key"]

    def asking(self, port, address="10.9.9.9", user="alice"):
        """A task that asks for an endpoint, at an address that is not its pod's; returns its id."""
        task = {
            "user": user,
            "name": "asks",
            "status": "in_progress",
            "runtime": {"_SERVICE": "EXTERNAL", "_ADDRESS": address, "_PORT": port},
            "system_tags": ["development", "external_service"],
        }
        return httpx.post(f"{CLEARML}/_emulator/task", json=task, trust_env=False, timeout=30).json()["id"]

    def published(self, task):
        """The address that stands in the task."""
        return self.ask("task", id=task)["task"].get("runtime", {}).get("endpoint")

    def pod(self, namespace, task, host_network=False):
        """The pod of a task as the agent makes it; what listens in it is another emulated server, on port 7000."""
        container = {
            "name": "task",
            "image": "portico.local/emulator:dev",
            "imagePullPolicy": "Never",
            "args": ["--listen", "0.0.0.0:7000"],
            "env": [{"name": "CLEARML_WORKER_ID", "value": f"vm:0:{task}"}],
        }
        labels = {"CLEARML": "agent-2214c01d", "clearml-agent-queue": "929b", "clearml-agent-queue-name": "gpu-queue"}
        name = f"clearml-id-{task}"
        spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "hostNetwork": host_network, "containers": [container]}
        about = {"name": name, "namespace": namespace, "labels": labels}
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec})
        return name

    def install(self, release, namespace, port, **more):
        """The chart, with the guide's values for a node port and plain HTTP, and `more` of them."""
        self.namespace(namespace)
        access, secret = self.key("admin")
        values = {
            "image": {"registry": "portico.local", "repository": "portico", "tag": "dev", "pullPolicy": "Never"},
            "clearml": {"apiKey": access, "apiSecret": secret, "apiServerUrlReference": CLEARML},
            "service": {"type": "NodePort"},
            "externalURL": f"http://{NODE}:{port}",
        }
        merge(values, more)
        chart = str(ROOT / "charts/portico")
        self.helm("upgrade", "-i", release, "-n", namespace, chart, "-f", "-", "--wait", "--timeout", "120s", given=json.dumps(values))
        return Gateway(self, release, namespace, f"http://{NODE}:{port}")


class Gateway:
    """One release."""

    def __init__(self, cluster, release, namespace, url):
        self.cluster, self.release, self.namespace, self.url = cluster, release, namespace, url

    def visit(self, task, login="alice"):
        """What a program gets that asks for the task's endpoint with that user's key."""
        auth = self.cluster.key(login) if login else None
        return httpx.get(f"{self.url}/service/{task}/debug.ping", auth=auth, trust_env=False, timeout=10)

    def log(self):
        """What its pod wrote."""
        return self.cluster.kubectl("-n", self.namespace, "logs", f"deployment/{self.release}-portico", "--all-containers")
