"""Portico from its chart on a real Kubernetes, without an ingress."""

import time

import pytest
from kubernetes_world import until


@pytest.fixture(scope="module", autouse=True)
def pods_go(cluster):
    """What these tests started ends with them."""
    yield
    for namespace in ("workloads", "elsewhere"):
        cluster.kubectl("-n", namespace, "delete", "pods", "-l", "CLEARML", "--wait=false", "--now")


def test_a_pod_is_reached_through_the_node_port_whatever_its_task_claims(cluster, gateway):
    task = cluster.asking(7000)
    pod = cluster.pod("workloads", task)
    until(lambda: gateway.visit(task).status_code == 200, "the pod's application answers")
    url = until(lambda: cluster.published(task), "the address stands in the task")
    assert url.startswith(f"{gateway.url}/service/{task}")
    assert gateway.visit(task, login=None).status_code == 401

    cluster.kubectl("-n", "workloads", "delete", "pod", pod, "--wait=false")
    until(lambda: gateway.visit(task).status_code != 200, "the pod's address is dropped")
    until(lambda: not cluster.published(task), "the address is withdrawn")


def test_an_address_is_published_before_anybody_gives_up(cluster, gateway):
    """The SDK waits 90 s. How long it takes is measured by `cargo xtask bench publish`; a minute is no figure, but what counts as working."""
    task = cluster.asking(7000)
    asked = time.monotonic()
    cluster.pod("workloads", task)
    until(lambda: cluster.published(task), "the address stands in the task", within=60)
    print(f"from the task's wish, with its pod still to come, to the address in the task: {time.monotonic() - asked:.2f} s")


def test_a_pod_of_another_namespace_is_never_served(cluster, gateway):
    cluster.namespace("elsewhere")
    own, other = cluster.asking(7000), cluster.asking(7000)
    cluster.pod("elsewhere", other)
    cluster.pod("workloads", own)
    until(lambda: gateway.visit(own).status_code == 200, "the own pod's application answers")
    assert gateway.visit(other).status_code == 404
    assert not cluster.published(other)


def test_a_pod_on_the_nodes_network_is_refused_with_an_event(cluster, gateway):
    task = cluster.asking(7000)
    pod = cluster.pod("workloads", task, host_network=True)

    def events():
        found = cluster.get("workloads", "events", "--field-selector", f"involvedObject.name={pod},reason=NotRouted")
        return [event["message"] for event in found["items"]]

    assert "shares the node's network" in until(events, "an event says so")[0]
    assert gateway.visit(task).status_code != 200
