"""Portico from its chart on a real Kubernetes, without an ingress."""

import json
import os
import time
from pathlib import Path

from kubernetes_world import until


def test_a_pod_is_reached_through_the_node_port_whatever_its_task_claims(cluster, gateway):
    task = cluster.asking(7000)
    pod = cluster.pod("workloads", task)
    until(lambda: gateway.visit(task).status_code == 200, "the pod's application answers")
    url = until(lambda: cluster.published(task), "the address stands in the task", within=10)
    assert url.startswith(f"{gateway.url}/service/{task}")
    assert gateway.visit(task, login=None).status_code == 401

    cluster.kubectl("-n", "workloads", "delete", "pod", pod, "--wait=false")
    until(lambda: gateway.visit(task).status_code != 200, "the pod's address is dropped", within=10)
    until(lambda: not cluster.published(task), "the address is withdrawn", within=20)


def test_an_address_is_published_within_seconds_of_its_task_and_pod(cluster, gateway):
    task = cluster.asking(7000)
    asked = time.monotonic()
    cluster.pod("workloads", task)
    until(lambda: cluster.published(task), "the address stands in the task", within=10)
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


def test_the_gateway_is_never_refused_a_right_and_uses_those_it_has(cluster, gateway):
    """From the API server's audit log: what the release's account did."""
    account = f"system:serviceaccount:{gateway.namespace}:"
    used = set()
    for line in Path(os.environ["PORTICO_CLUSTER_AUDIT"]).read_text().splitlines():
        event = json.loads(line)
        if event["user"]["username"].startswith(account) and "portico" in event["user"]["username"]:
            assert event["responseStatus"]["code"] not in (401, 403), event
            used.add((event["objectRef"]["resource"], event["verb"]))
    granted = set()
    for role in cluster.get(gateway.namespace, "roles")["items"]:
        for rule in role["rules"]:
            granted |= {(resource, verb) for resource in rule["resources"] for verb in rule["verbs"]}
    assert used == granted


def test_no_key_of_a_task_is_in_the_log(cluster, gateway):
    log = gateway.log()
    assert "the gateway has its addresses" in log
    assert "secret-of-the-emulator" not in log


def test_uninstalling_leaves_nothing_behind(cluster):
    trial = cluster.install("trial", "trial", 30081)
    cluster.helm("uninstall", trial.release, "-n", trial.namespace, "--wait")
    kinds = "deployments,services,secrets,configmaps,leases,roles,rolebindings,networkpolicies,ingresses"
    left = [thing["metadata"]["name"] for thing in cluster.get(trial.namespace, kinds)["items"]]
    assert left == ["kube-root-ca.crt"]
