"""Workloads without the SDK: a pod's annotation asks, and neither a tag nor a property of its task does."""

import httpx
from kubernetes_world import CLEARML, until


def test_a_task_that_asks_nothing_is_served_while_its_pods_annotation_asks(cluster, gateway):
    task = httpx.post(f"{CLEARML}/_emulator/task", json={"user": "alice", "name": "asks nothing"}, trust_env=False, timeout=30).json()["id"]
    pod = cluster.pod("workloads", task)

    def annotate(change):
        cluster.kubectl("-n", "workloads", "annotate", "pod", pod, change)

    asked = cluster.asking(7000)
    cluster.pod("workloads", asked)
    until(lambda: gateway.visit(asked).status_code == 200, "a task that asks is served")
    assert gateway.visit(task).status_code == 404
    assert not cluster.published(task)

    annotate("portico/endpoints=http:7000")
    until(lambda: gateway.visit(task).status_code == 200, "the pod's application answers")
    until(lambda: cluster.published(task) == f"{gateway.url}/service/{task}/", "the address stands in the task")
    assert gateway.visit(task, login=None).status_code == 401

    annotate("portico/endpoints-")
    until(lambda: gateway.visit(task).status_code == 404, "nobody asks any more")
    until(lambda: not cluster.published(task), "the address is withdrawn")

    annotate("portico/endpoints=http:7000")
    until(lambda: cluster.published(task), "the address stands in the task again")
    cluster.kubectl("-n", "workloads", "delete", "pod", pod, "--wait=false")
    until(lambda: not cluster.published(task), "the address goes with the pod")
