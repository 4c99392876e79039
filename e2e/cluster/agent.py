"""The unmodified agent that makes a pod of every task, and the tasks that people give it."""

import json
import os
import shlex
import sys
from pathlib import Path

from kubernetes_world import CLEARML, until
from world.agent import configuration_of
from world.emulator import Emulator
from world.process import Process, clean_env

IMAGE = "portico.local/workloads:1"

# What a platform engineer writes into a file of theirs: it runs beside the cluster, and makes pods by kubectl.
_GLUE = """
import json, sys
from clearml_agent.glue.k8s import K8sIntegration

K8sIntegration(**json.loads(sys.argv[1])).k8s_daemon(json.loads(sys.argv[2]))
"""

# No way leads to a package index from a pod; the image has what is needed.
_IN_THE_POD = [
    "export CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL=1",
    "python3 -m clearml_agent execute --full-monitoring --require-queue --id {task_id}",
]

_TEMPLATE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "dnsPolicy": "Default",
        # Without a claim to the processor it would have nearly nothing of it while the machine is busy.
        "containers": [{"imagePullPolicy": "Never", "resources": {"requests": {"cpu": "200m"}}}],
    },
}


class Clearml(Emulator):
    """The ClearML server of the cluster, as people use it: with their keys."""

    def __init__(self, cluster):
        self.url = CLEARML
        self.actors = cluster.actors

    def enqueue(self, queue, name, program, user="alice"):
        """A task with that program's text, as the user's `Task.create` makes it, waiting in the queue; returns its id."""
        script = {
            "diff": program,
            "entry_point": "app.py",
            "working_dir": ".",
            "binary": "python3",
            "repository": "",
            "requirements": {"pip": ""},
        }
        made = self.call(user, "tasks.create", name=name, type="application", script=script, container={"image": IMAGE})
        self.call(user, "tasks.enqueue", task=made["id"], queue_name=queue)
        return made["id"]

    def endpoint(self, task, within=120):
        """Waits until the address stands in the task; returns it."""

        def published():
            held = self.task(task)
            assert held["status"] in ("queued", "in_progress", "stopped", "created"), f"{held['status']}: {held['status_message']}"
            return held.get("runtime", {}).get("endpoint")

        return until(published, f"the address of task {task} is published", within)


class Agent:
    """One agent for some queues, which makes the pods of their tasks in one namespace. The pods hold the agent's key."""

    def __init__(self, directory, cluster, namespace, queues, user="bob"):
        self.cluster, self.namespace = cluster, namespace
        directory.mkdir(parents=True)
        clearml = Clearml(cluster)
        known = {queue["name"] for queue in clearml.call(user, "queues.get_all")["queues"]}
        for queue in queues:
            if queue not in known:
                clearml.call(user, "queues.create", name=queue)
        configuration = directory / "clearml.conf"
        configuration.write_text(configuration_of(clearml, user))
        template = directory / "template.yaml"
        template.write_text(json.dumps(_TEMPLATE))
        settings = {
            "namespace": namespace,
            "template_yaml": str(template),
            "clearml_conf_file": str(configuration),
            "container_bash_script": _IN_THE_POD,
        }
        kubectl, _, kubeconfig = shlex.split(os.environ["PORTICO_CLUSTER_KUBECTL"])
        self.process = Process(
            f"agent-of-{namespace}",
            [sys.executable, "-c", _GLUE, json.dumps(settings), json.dumps(queues)],
            directory,
            env=clean_env(
                HOME=directory,
                PATH=f"{Path(kubectl).parent}:{os.environ['PATH']}",
                KUBECONFIG=kubeconfig,
                CLEARML_CONFIG_FILE=configuration,
                CLEARML_DOCKER_IMAGE=IMAGE,
                CLEARML_AGENT_QUEUE_POLL_FREQ_SEC="0.5",
                CLEARML_WORKER_ID=f"agent-of-{namespace}",
            ),
        )

    def pod(self, task):
        """The task's pod as Kubernetes tells of it, as soon as it is there."""

        def found():
            self.process.must_run()
            name = f"clearml-id-{task}"
            pods = self.cluster.get(self.namespace, "pods", "--field-selector", f"metadata.name={name}")["items"]
            return pods and pods[0]

        return until(found, f"the agent makes the pod of task {task}")

    def log(self, task):
        """What the task's pod wrote."""
        return self.cluster.kubectl("-n", self.namespace, "logs", f"clearml-id-{task}")

    def stop(self):
        """Ends the agent. Its pods stay."""
        self.process.kill()
