"""A new user follows the guide; the unmodified agent takes a task from a queue, and the unmodified SDK in its pod asks for an endpoint."""

import httpx
import pytest
from authority import trust
from engineer import REGISTRY
from kubernetes_world import until
from world.wait import noted


def visit(link, auth=None):
    """What a program gets there."""
    return httpx.get(link, auth=auth, verify=trust(), trust_env=False, timeout=30)


def said(walk, task):
    """What the application says to alice through the gateway, once it knows its address."""
    link = walk.clearml.endpoint(task)

    def answer():
        answer = visit(link, walk.clearml.key("alice"))
        return answer.status_code == 200 and answer.json()

    return until(answer, "the task's application knows its address")


@pytest.mark.begins
def test_an_administrator_of_one_namespace_installs_the_guides_values_from_the_registry(walk):
    """And of no more than that namespace: the pod is ready all the same."""
    (pod,) = walk.gateways().values()
    assert ("Ready", "True") in [(one["type"], one["status"]) for one in pod["status"]["conditions"]]
    assert [container["image"] for container in pod["spec"]["containers"]] == [f"{REGISTRY}/portico:0.1.0"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "main-portico-registry"}]
    assert walk.engineer.type("helm list -n workloads --short") == "main\n"
    assert walk.engineer.type("kubectl auth can-i create clusterroles 2>&1", status=1).endswith("no\n")


def test_a_task_from_a_queue_gets_its_pod_its_address_and_visitors(walk, note):
    task = walk.answering
    pod = walk.agent.pod(task)
    told = said(walk, task)
    link = walk.clearml.endpoint(task)
    assert link.startswith(f"{walk.url}/service/{task}")
    assert told["answer"]["endpoint"] == link
    assert told["host"] == pod["metadata"]["name"]
    assert visit(link).status_code == 401
    until(lambda: visit(link, walk.clearml.key("carol")).status_code == 404, "there is nothing for another company")
    # What people are promised who wait for it.
    noted(told["seconds"], promised=5)
    labels = pod["metadata"]["labels"]
    # The gateway is limited to that queue by its full name.
    assert labels["clearml-agent-queue-name"] == "gpu-queue"
    note("agent", labels=labels, seconds_from_request_external_endpoint_to_its_return=round(told["seconds"], 3))


def test_agent_and_task_made_calls_that_the_server_knows(walk):
    said(walk, walk.answering)
    assert walk.clearml.unknown_calls() == {}
