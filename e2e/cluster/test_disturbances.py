"""Pods go, their addresses are given to others, the API server dies: nobody reaches what is not theirs, and what is theirs stays."""

import time

import pytest
from kubernetes_world import NODE, until
from releases import Release, clearml, public_port, stream_wish, workload
from weather import ApiServer, Audit, Visits, address, calls, far_address, gives_next, is_free, tell_neighbors, writes

NAMESPACE = "disturbances"
STREAMS = {"streamSession": {"portRange": {"start": 30360, "end": 30363}}}


@pytest.fixture(scope="module")
def gateway(cluster):
    """A release of its own."""
    release = Release(cluster, "storm", NAMESPACE, 30235, STREAMS).install()
    yield release
    release.uninstall()
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def asking(cluster):
    """Makes tasks that ask for an endpoint at an address, and ends them."""
    made = []

    def ask(stream_at=None):
        task = stream_wish(cluster, stream_at) if stream_at else cluster.asking(7000)
        made.append(task)
        workload(cluster, NAMESPACE, task)
        return task, f"clearml-id-{task}"

    yield ask
    for task in made:
        clearml(cluster, "tasks.stopped", {"task": task, "force": True})
    cluster.kubectl("-n", NAMESPACE, "delete", "pods", "-l", "CLEARML", "--wait=false", "--grace-period=0", "--force")


def serves(gateway, task):
    """Waits until the task's application answers."""
    seen = []

    def answers():
        seen.append(gateway.visit(task))
        return seen[-1].status_code == 200

    try:
        until(answers, "the application answers", within=120)
    except AssertionError as late:
        raise AssertionError(f"{late}: {seen[-1].text}") from late


def asking_at(cluster, asking, given, **more):
    """A task that asks, whose pod has that address."""
    with gives_next(given):
        task, pod = asking(**more)
        until(lambda: address(cluster, NAMESPACE, pod), "the pod has an address")
    assert address(cluster, NAMESPACE, pod) == given
    return task, pod


def refusal(gateway, task):
    """The code of the refusal in place of the application's answer."""
    answer = gateway.visit(task)
    return answer.json()["error"]["code"] if answer.status_code != 200 else None


def test_whoever_asks_for_a_pod_that_is_gone_reads_so_and_its_address_is_withdrawn(cluster, gateway, asking):
    task, pod = asking()
    serves(gateway, task)
    until(lambda: cluster.published(task), "the address stands in the task")
    cluster.kubectl("-n", NAMESPACE, "delete", "pod", pod, "--wait=false")
    until(lambda: refusal(gateway, task) == "pod_gone", "the refusal names the pod")
    page = gateway.visit_as_browser(task)
    assert page.status_code == 503
    assert "The task's pod is gone" in page.text.replace("&#39;", "'").replace("&#x27;", "'")
    until(lambda: not cluster.published(task), "the address is withdrawn")


def ends(cluster, pod, how):
    """Lets a pod end; one that has ended by itself stays, with its address."""
    if how == "deleted":
        cluster.kubectl("-n", NAMESPACE, "delete", "pod", pod, "--wait=false")
    else:
        cluster.kubectl("-n", NAMESPACE, "patch", "pod", pod, "-p", '{"spec": {"activeDeadlineSeconds": 1}}')


@pytest.mark.parametrize("end", ["deleted", "out_of_time"])
def test_an_address_that_another_tasks_pod_has_now_leads_nobody_there(cluster, gateway, asking, end):
    """The first task even claims the very address. A pod that has ended by itself still has it in its status, too."""
    given = far_address()
    first, pod = asking_at(cluster, asking, given)
    serves(gateway, first)
    clearml(cluster, "tasks.edit_runtime", {"task": first, "add_or_update": {"_ADDRESS": given}})
    with Visits(gateway, first) as visits:
        ends(cluster, pod, end)
        until(lambda: is_free(given), "the node takes the address back")
        second, _ = asking_at(cluster, asking, given)
        tell_neighbors(gateway.pods()[0])
        serves(gateway, second)
        served = time.monotonic()
        until(lambda: len(visits.since(served)) > 20, "visitors of the first one keep coming")
    assert 200 in visits.since(0), "they were served before"
    assert set(visits.since(served)) == {503}
    if end == "out_of_time":
        assert address(cluster, NAMESPACE, pod) == given
    # What the second one was asked came from those who asked for it: see `serves`.
    assert calls(cluster, given)["debug.ping"] == gateway.visited[second]


@pytest.mark.parametrize("end", ["deleted", "out_of_time"])
def test_a_public_port_leads_nobody_to_another_tasks_pod_at_the_same_address(cluster, gateway, asking, end):
    """For a TCP endpoint, which shows its visitors no refusal: nothing answers."""
    given = far_address()
    first, pod = asking_at(cluster, asking, given, stream_at=given)
    port = until(lambda: public_port(cluster, first), "a public port is published")
    with Visits(gateway, first, address=f"http://{NODE}:{port}") as visits:
        until(lambda: 200 in visits.since(0), "they are served")
        ends(cluster, pod, end)
        until(lambda: is_free(given), "the node takes the address back")
        second, _ = asking_at(cluster, asking, given)
        tell_neighbors(gateway.pods()[0])
        serves(gateway, second)
        served = time.monotonic()
        until(lambda: len(visits.since(served)) > 20, "visitors of the first one keep coming")
    assert [answer for answer in visits.since(served) if isinstance(answer, int)] == []
    if end == "out_of_time":
        assert address(cluster, NAMESPACE, pod) == given
    assert calls(cluster, given)["debug.ping"] == gateway.visited[second]


def test_while_the_api_server_is_dead_visitors_are_served_and_afterwards_changes_are_seen(cluster, gateway, asking):
    task, pod = asking()
    serves(gateway, task)
    until(lambda: cluster.published(task), "the address stands in the task")
    routes = gateway.metric("portico_routes")
    place = gateway.address()
    server = ApiServer()
    with Visits(gateway, task) as visits:
        died = time.monotonic()
        server.kill()
        try:
            until(lambda: gateway.metric("portico_kubernetes_age_seconds", place) > 20, "the gateway notices")
            assert gateway.metric("portico_routes", place) == routes
            assert cluster.published(task)
        finally:
            server.start()
        audit, started = Audit(), time.monotonic()
        until(lambda: gateway.metric("portico_kubernetes_age_seconds", place) < 10, "the gateway sees it again")
        assert gateway.metric("portico_source_failing_seconds", place) == 0, "ClearML was there all the time"
        later, _ = asking()
        serves(gateway, later)
    assert len(visits.since(died)) > 20
    assert set(visits.since(died)) == {200}
    assert len([write for write in writes(cluster, task) if write["key"] == "endpoint"]) == 1
    # A server that has just begun knows no past: whoever asks for it would be sent away again and again.
    account = cluster.get(NAMESPACE, "serviceaccount", gateway.name)["metadata"]["uid"]
    asked = [what for what, _ in audit.of(account)]
    assert len(asked) < 60 + 5 * (time.monotonic() - started), asked
    cluster.kubectl("-n", NAMESPACE, "delete", "pod", pod, "--wait=false")
    until(lambda: refusal(gateway, task) == "pod_gone", "a pod that goes is seen to go")
