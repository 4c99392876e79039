"""What a new user has, by the guide: a namespace with the real agent, a release from the registry for its tasks, and the tasks."""

import collections
import contextlib
import functools
import json
from pathlib import Path

import httpx
import yaml
from agent import IMAGE, Agent, Clearml
from engineer import Engineer
from kubernetes_world import CLEARML, NODE, ROOT, merge, until
from world import process
from world.jupyter import Notebook
from world.laptop import Laptop
from world.pages import commands
from world.session import Session

NAMESPACE = "walk"
PORT = 30120
# Browsers are told that names like this are the node's.
HOST = "lab.walk.test"
STREAMS = (30200, 30209)
QUEUES = ["gpu queue", "sessions"]
PROGRAMS = Path(__file__).parent
INSTALL, ROLLOUT = commands("docs/how-to/install.md")[7:9]
# Envoy, which says who visits.
PROXIES = ["198.18.1.0/24"]
# As in the how-to page, with the image that the pod is made of.
SESSION = f"clearml-session --queue sessions --docker {IMAGE} --router-enabled true --jupyter-lab false"


class Pods:
    """What the pods of a namespace wrote, among the outputs of programs that are shown when a test fails."""

    def __init__(self, cluster, namespace):
        self._cluster, self._namespace = cluster, namespace
        self.name = f"pods of {namespace}"
        process.RUNNING.append(self)

    def stdout(self):
        """The end of each."""
        pods = self._cluster.get(self._namespace, "pods")["items"]
        names = [pod["metadata"]["name"] for pod in pods]
        return "\n".join(self._of(name) for name in names)

    def _of(self, name):
        try:
            return f"--- {name}\n" + self._cluster.kubectl("-n", self._namespace, "logs", name, "--tail=20")
        except AssertionError as error:  # it has yet to start, or is gone
            return str(error)

    def stderr(self):
        """Part of the same."""
        return ""

    def stop(self):
        """Nothing is shown any more."""
        process.RUNNING.remove(self)


class Walk:
    """One namespace."""

    def __init__(self, directory, cluster):
        self.directory, self.cluster = directory, cluster
        self.clearml = Clearml(cluster)
        self._running = contextlib.ExitStack()
        # What an earlier run left, or still removes.
        cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=150s")
        self.engineer = self._running.enter_context(Engineer(cluster, NAMESPACE, directory))
        self._keep(Pods(cluster, NAMESPACE))
        self.agent = self._keep(Agent(directory / "agent", cluster, NAMESPACE, QUEUES))
        # They take a while to start, in which others are looked at.
        self.answering = self.clearml.enqueue("gpu queue", "answers", (PROGRAMS / "agent_task.py").read_text())
        self.notebook = self.clearml.enqueue("gpu queue", "notebook", (PROGRAMS / "jupyter_task.py").read_text())
        self.engineer.log_in()
        self.engineer.certificate(HOST)
        self.engineer.type("kubectl -n workloads create secret tls gateway-tls --cert=gateway.crt --key=gateway.key")
        self.install_behind_an_ingress()

    def _keep(self, thing):
        self._running.callback(thing.stop)
        return thing

    def install_behind_an_ingress(self):
        """The guide's first values, with the certificate that makes the gateway's address `https://`."""
        ingress = {"hostName": HOST, "className": "contour", "tlsSecretName": "gateway-tls"}
        self._install(f"https://{HOST}", "guide", ingress=ingress, trustedProxies=PROXIES)

    def install_behind_a_route(self):
        """The same with an HTTPRoute in place of the Ingress."""
        parent = {"name": "public", "namespace": "gateways", "sectionName": "https"}
        route = {"httpRoute": {"enabled": True, "parentRefs": [parent]}, "ingress": {"enabled": False, "hostName": ""}}
        self._install(f"https://{HOST}", "guide", externalURL=f"https://{HOST}", trustedProxies=PROXIES, **route)

    def install_at_a_node_port(self, **more):
        """The guide's second values over its first ones, and more over them."""
        url = f"http://{NODE}:{PORT}"
        self._install(url, "guide-both", externalURL=url, **more)

    def _install(self, url, guide, **more):
        """Installs the release, or changes it, as its page says, with values of the enterprise guide and this world's over them."""
        values = yaml.safe_load((ROOT / f"charts/portico/ci/{guide}-values.yaml").read_text())
        # Clients of TCP endpoints come by a node port in any case.
        ports = {"start": STREAMS[0], "end": STREAMS[1]}
        merge(values, {"tcpSession": {"routerAddress": NODE, "service": {"type": "NodePort"}, "portRange": ports}} | more)
        # The queue's full name, of which the pods' labels hold only `gpu-queue`; as a list, for the space in it. Lists replace each other,
        # so it joins what the guide has there.
        values.setdefault("router", {}).setdefault("extraEnvs", []).append({"name": "LISTEN_QUEUE_NAME", "value": json.dumps(QUEUES)})
        (self.directory / "values.yaml").write_text(json.dumps(self.engineer.here(values)))
        self.engineer.type(INSTALL)
        self.engineer.type(ROLLOUT)
        self.url = url

    @functools.cached_property
    def laptop(self):
        """A user's machine. It reaches the node and the ClearML server, and no pod."""
        laptop = self._keep(Laptop(self.directory / "laptop"))
        server = CLEARML.removeprefix("http://").split(":")[0]
        laptop.run("ip", "route", "add", f"{server}/32", "via", laptop.address.removesuffix(".2") + ".1")
        return laptop

    @functools.cached_property
    def session(self):
        """An interactive session of alice's, in a pod of the agent's."""
        return self._keep(Session(self.directory / "session", self.laptop, self.clearml, SESSION))

    def public_port(self, task):
        """Waits until the task says that it is reached by a port of the node; returns the port."""

        def published():
            runtime = self.clearml.runtime(task)
            return runtime.get("external_address") == NODE and int(runtime.get("external_tcp_port") or 0)

        return until(published, f"the public port of task {task} is published")

    def published_below(self, url, task):
        """Waits until the task's address is one of that gateway's; returns it."""

        def published():
            link = self.clearml.endpoint(task)
            return link.startswith(f"{url}/") and link

        return until(published, f"the task's address is below {url}")

    def alice_runs_a_cell(self, browser):
        """Logs in on the way to the notebook, and works there; the kernel is the pod's own."""
        link = self.published_below(self.url, self.notebook)
        self._only_new_gateway_is_asked(link)
        alice = browser.visitor()
        alice.enter(link + Notebook.path(), "alice")
        # Until JupyterLab listens, a page says that it starts, and tries again.
        alice.page.locator(".jp-Notebook").wait_for(timeout=120_000)
        notebook = Notebook(alice)
        pod = f"clearml-id-{self.notebook}"
        notebook.run("import socket; print('in ' + socket.gethostname())", prints=f"in {pod}", within=60)
        return notebook

    def _only_new_gateway_is_asked(self, link):
        """Waits until the way to the address is everywhere the one of the release as it is now: an old gateway, or a route without one, may
        be asked for a moment longer, and people who come then see something else than a log-in."""
        strangers = collections.deque(maxlen=10)

        def is_steady():
            try:
                strangers.append(httpx.get(link, verify=False, trust_env=False, timeout=10).status_code)
            except httpx.TransportError as error:
                strangers.append(repr(error))
            return list(strangers) == [401] * 10

        until(is_steady, f"only the new gateway is asked at {link}")

    def gateways(self):
        """The gateway's pods by their names, those that end included."""
        pods = self.cluster.get(NAMESPACE, "pods", "-l", "app.kubernetes.io/instance=main")["items"]
        return {pod["metadata"]["name"]: pod for pod in pods}

    def stop(self):
        """Ends and removes everything."""
        # A client attaches itself to the only session that runs, even to one whose pod is gone.
        sessions = self.clearml.call("alice", "tasks.get_all", system_tags=["interactive"], status=["in_progress"], only_fields=["id"])
        for task in (self.answering, self.notebook, *(session["id"] for session in sessions["tasks"])):
            self.clearml.end(task)
        self._running.close()
