"""Releases of the chart whose values differ from the guide's, and what they say of themselves."""

import json
import os
import re
import subprocess
from collections import Counter

import httpx
from kubernetes_world import CLEARML, NODE, ROOT, Gateway

CHART = str(ROOT / "charts/portico")
# Every kind of object that the chart may make.
KINDS = "deployments,services,secrets,configmaps,serviceaccounts,leases,roles,rolebindings,networkpolicies,ingresses"
IMAGE = {"registry": "portico.local", "repository": "portico", "tag": "dev", "pullPolicy": "Never"}


def merged(one, other):
    """Both values, the other's over the one's."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other
    return one | {name: merged(one.get(name), value) for name, value in other.items()}


def values(cluster, port, more=None):
    """The guide's values for a node port and plain HTTP, and more over them."""
    access, secret = cluster.key("admin")
    least = {
        "image": IMAGE,
        "clearml": {"apiKey": access, "apiSecret": secret, "apiServerUrlReference": CLEARML},
        "service": {"type": "NodePort"},
        "externalURL": f"http://{NODE}:{port}",
        # No load balancer has to notice that a pod ends.
        "shutdown": {"delaySeconds": 0},
    }
    return merged(least, more or {})


def upgrade(cluster, release, namespace, given, *options):
    """Installs or upgrades, and waits until it is ready."""
    options = options or ("--wait", "--timeout", "170s")
    return cluster.helm("upgrade", "-i", release, "-n", namespace, CHART, "-f", "-", *options, given=json.dumps(given))


class Release(Gateway):
    """A release in a namespace of its own tests."""

    def __init__(self, cluster, release, namespace, port, more=None):
        super().__init__(cluster, release, namespace, f"http://{NODE}:{port}")
        self.port, self.more = port, more or {}
        # How often each task's application has answered.
        self.visited = Counter()

    def visit(self, task, login="alice"):
        """As others' visits, and counted."""
        answer = super().visit(task, login)
        self.visited[task] += answer.status_code == 200
        return answer

    def visit_as_browser(self, task, login="alice"):
        """What somebody reads who opens the task's address in a browser, with a key in place of a log-in."""
        headers = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
        auth = self.cluster.key(login)
        return httpx.get(f"{self.url}/service/{task}/", auth=auth, headers=headers, trust_env=False, timeout=10)

    def install(self, *options):
        """Installs it, or brings it to its values again."""
        self.cluster.namespace(self.namespace)
        upgrade(self.cluster, self.release, self.namespace, values(self.cluster, self.port, self.more), *options)
        return self

    def uninstall(self):
        """Takes it away."""
        self.cluster.helm("uninstall", self.release, "-n", self.namespace, "--wait", "--ignore-not-found")

    @property
    def name(self):
        """The name of its objects."""
        return f"{self.release}-portico"

    def pods(self):
        """Its pods that run and are not about to end."""
        found = self.cluster.get(self.namespace, "pods", "-l", f"app.kubernetes.io/instance={self.release}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def address(self):
        """Its pod's address."""
        return self.pods()[0]["status"]["podIP"]

    def metric(self, name, address=None):
        """One of its metrics, as its operations port tells it."""
        text = httpx.get(f"http://{address or self.address()}:8013/metrics", trust_env=False, timeout=10).text
        found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        assert found, f"no metric {name} in:\n{text}"
        return float(found[1])

    def says(self, *arguments):
        """What one of its commands prints in its pod, whether it finds that all is well or not."""
        shell = [*os.environ["PORTICO_CLUSTER_KUBECTL"].split(), "-n", self.namespace, "exec", f"deployment/{self.name}", "--", "portico"]
        done = subprocess.run([*shell, *arguments], capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout, done.stderr
        return done.stdout


def workload(cluster, namespace, task, queue="gpu-queue", host_network=False, secret=None, account="default"):
    """The pod of a task as the agent makes it, from a queue of that name; with a key of its owner where agents write it."""
    labels = {"CLEARML": "agent-2214c01d", "clearml-agent-queue": "929b", "clearml-agent-queue-name": queue}
    image = {"image": "portico.local/emulator:dev", "imagePullPolicy": "Never"}
    container = {
        **image,
        "name": "task",
        # The node's own ports may be taken.
        "args": ["--listen", "0.0.0.0:0" if host_network else "0.0.0.0:7000", "--control"],
        "env": [{"name": "CLEARML_WORKER_ID", "value": f"vm:0:{task}"}],
    }
    about = {"name": f"clearml-id-{task}", "namespace": namespace, "labels": labels}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "hostNetwork": host_network, "serviceAccountName": account, "containers": [container]}
    if secret:
        container["env"].append({"name": "CLEARML_API_SECRET_KEY", "value": secret})
        about["annotations"] = {"ai.clearml.config": secret}
        # It ends at once.
        spec["initContainers"] = [{**image, "name": "setup", "args": ["--version", secret]}]
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec})
    return about["name"]


def wish(cluster, runtime, user="alice", **more):
    """A running task whose runtime asks for that; returns its id."""
    task = {"user": user, "name": "wishes", "status": "in_progress", "runtime": runtime, "system_tags": ["external_service"], **more}
    return httpx.post(f"{CLEARML}/_emulator/task", json=task, trust_env=False, timeout=30).json()["id"]


def stream_wish(cluster, address="10.9.9.9"):
    """A running task that asks for a TCP endpoint, at an address that is not its pod's; returns its id."""
    return wish(cluster, {"_SERVICE": "EXTERNAL_TCP", "external_address": address, "external_tcp_port": 7000})


def public_port(cluster, task):
    """The port of the node under which the task's TCP endpoint is published; nothing until it is."""
    runtime = cluster.ask("task", id=task)["task"].get("runtime", {})
    is_published = runtime.get("external_address") == NODE and runtime.get("upstream_task_port")
    return int(runtime["external_tcp_port"]) if is_published else None


def clearml(cluster, call, body, login="admin"):
    """A call of the ClearML API, as somebody else makes it."""
    answer = httpx.post(f"{CLEARML}/{call}", json=body, auth=cluster.key(login), trust_env=False, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]
