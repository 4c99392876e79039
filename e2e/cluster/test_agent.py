"""The unmodified agent takes a task from a queue, and the unmodified SDK in its pod asks for an endpoint."""

import httpx
from kubernetes_world import until
from world.wait import noted


def visit(link, auth=None):
    """What a program gets there."""
    return httpx.get(link, auth=auth, trust_env=False, timeout=30)


def said(walk, task):
    """What the application says to alice through the gateway, once it knows its address."""
    link = walk.clearml.endpoint(task)

    def answer():
        answer = visit(link, walk.clearml.key("alice"))
        return answer.status_code == 200 and answer.json()

    return until(answer, "the task's application knows its address")


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
