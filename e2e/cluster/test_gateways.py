"""Several releases: each serves under its own name, one owns a task, and nobody writes against anybody. It is watched for ten minutes,
while all other tests run."""

import os
import time
from collections import Counter
from types import SimpleNamespace

import httpx
import pytest
from kubernetes_world import NODE, until
from releases import Release, clearml, public_port, stream_wish, workload

# Shorter while somebody works on these tests.
WATCHED = float(os.environ.get("PORTICO_CLUSTER_WATCH", "600"))
TOGETHER, APART, FALLEN = "gateways-together", "gateways-apart", "gateways-fallen"
STREAMS = {"streamSession": {"portRange": {"start": 30240, "end": 30244}}}
OTHER_STREAMS = {"streamSession": {"portRange": {"start": 30245, "end": 30249}}}
# What is written into a task that has a TCP endpoint, beside what its owner wrote.
STREAM_KEYS = {"external_address", "external_tcp_port", "upstream_task_port"}


@pytest.fixture(scope="session")
def gateways(cluster):
    """Two releases and one on trial in one namespace, another one elsewhere; tasks in both namespaces."""
    inside = Release(cluster, "inside", TOGETHER, 30230, STREAMS)
    outside = Release(cluster, "outside", TOGETHER, 30231, OTHER_STREAMS | {"config": {"discovery": {"queues": ["partners"]}}})
    trial = Release(cluster, "trial", TOGETHER, 30232, {"config": {"publish": "never"}})
    far = Release(cluster, "inside", APART, 30233)
    all_four = [inside, outside, trial, far]
    for release in all_four:
        release.install("--timeout", "120s")
    for release in all_four:
        until(lambda release=release: ready(release), f"{release.release} is ready")
    # Whose a task is, is told by the leases: it may first be somebody's who is not heard of yet.
    for release in all_four:
        until(lambda release=release: has_begun(release), f"{release.release} has said since when it is there")
    tasks = {name: cluster.asking(7000) for name in ("own", "partners", "elsewhere")}
    workload(cluster, TOGETHER, tasks["own"])
    workload(cluster, TOGETHER, tasks["partners"], queue="partners")
    workload(cluster, APART, tasks["elsewhere"])
    streams = {name: stream_wish(cluster) for name in ("own", "partners")}
    workload(cluster, TOGETHER, streams["own"])
    workload(cluster, TOGETHER, streams["partners"], queue="partners")
    since = time.monotonic()
    yield SimpleNamespace(inside=inside, outside=outside, trial=trial, far=far, tasks=tasks, streams=streams, since=since)
    for release in all_four:
        release.uninstall()
    for task in (*tasks.values(), *streams.values()):
        clearml(cluster, "tasks.stopped", {"task": task, "force": True})
    cluster.kubectl("delete", "namespace", TOGETHER, APART, "--wait=false")


@pytest.fixture(scope="session")
def fallen(cluster):
    """Two releases of one namespace, of which the older one is taken away without a word."""
    older, younger = Release(cluster, "older", FALLEN, 30238), Release(cluster, "younger", FALLEN, 30239)
    for release in (older, younger):
        release.install()
        until(lambda r=release: has_begun(r), "it has said since when it is there")
    task = cluster.asking(7000)
    workload(cluster, FALLEN, task)
    yield SimpleNamespace(older=older, younger=younger, task=task)
    for release in (older, younger):
        release.uninstall()
    clearml(cluster, "tasks.stopped", {"task": task, "force": True})
    cluster.kubectl("delete", "namespace", FALLEN, "--wait=false")


def ready(release):
    """Whether its Deployment has its pod."""
    status = release.cluster.get(release.namespace, "deployment", release.name).get("status", {})
    return status.get("readyReplicas") == 1


def has_begun(release):
    """Whether it has said since when it is there, which it does with its first renewal."""
    return "acquireTime" in release.cluster.get(release.namespace, "lease", release.name).get("spec", {})


def owners(gateways):
    """Which gateway's address stands in each task."""
    said = {"own": gateways.inside, "partners": gateways.outside, "elsewhere": gateways.far}
    return {gateways.tasks[name]: f"{gateway.url}/service/{gateways.tasks[name]}" for name, gateway in said.items()}


def stream_owners(gateways):
    """Which gateway's ports each task with a TCP endpoint has one of."""
    ranges = {"own": STREAMS, "partners": OTHER_STREAMS}
    limits = {name: given["streamSession"]["portRange"] for name, given in ranges.items()}
    return {gateways.streams[name]: range(limit["start"], limit["end"] + 1) for name, limit in limits.items()}


@pytest.mark.begins
def test_each_release_serves_under_its_own_name(cluster, gateways):
    """All of them serve the tasks of their namespace, each under its own address; one writes it into the task."""
    own, partners, elsewhere = (gateways.tasks[name] for name in ("own", "partners", "elsewhere"))
    for gateway in (gateways.inside, gateways.outside, gateways.trial):
        # One with queues has nothing to do with others.
        mine = [partners] if gateway is gateways.outside else [own, partners]
        for task in mine:
            until(lambda g=gateway, t=task: g.visit(t).status_code == 200, f"{gateway.release} serves {task}")
        assert gateway.visit(elsewhere).status_code == 404
    assert gateways.outside.visit(own).status_code == 404
    until(lambda: gateways.far.visit(elsewhere).status_code == 200, "the one in the other namespace serves")
    assert gateways.far.visit(own).status_code == 404
    for task, url in owners(gateways).items():
        published = until(lambda task=task: cluster.published(task), "an address is published")
        assert published.startswith(url)


@pytest.mark.begins
def test_a_tcp_endpoint_has_a_port_of_the_one_release_that_owns_its_task(cluster, gateways):
    for task, ports in stream_owners(gateways).items():
        port = until(lambda task=task: public_port(cluster, task), "a public port is published")
        assert port in ports
        until(lambda port=port: httpx.get(f"http://{NODE}:{port}/debug.ping", trust_env=False, timeout=10).status_code == 200, "it leads to the task")


@pytest.mark.begins
def test_the_older_gateway_owns_a_task_while_it_is_heard_of(cluster, fallen):
    published = until(lambda: cluster.published(fallen.task), "an address is published")
    assert published.startswith(f"{fallen.older.url}/service/{fallen.task}")
    # What a pod that ends says goodbye with is not meant here.
    cluster.kubectl("-n", FALLEN, "scale", "deployment", fallen.older.name, "--replicas=0")
    cluster.kubectl("-n", FALLEN, "delete", "pods", "-l", "app.kubernetes.io/instance=older", "--force", "--grace-period=0")


def test_a_value_that_somebody_keeps_overwriting_is_left_alone(cluster, gateways):
    """Somebody who knows no Leases, as the enterprise gateway does not."""
    gateway, task = gateways.inside, cluster.asking(7000)
    pod = workload(cluster, TOGETHER, task)
    foreign = f"https://enterprise.example.com/service/{task}"

    def overwrites():
        if (cluster.published(task) or foreign) != foreign:
            clearml(cluster, "tasks.edit_runtime", {"task": task, "add_or_update": {"endpoint": foreign}})
        return gateway.metric("portico_publish_contested") == 1

    until(overwrites, "the gateway gives in", within=120)
    mine = [write for write in cluster.ask("writes", task=task)["writes"] if write["key"] == "endpoint"]
    assert cluster.published(task) == foreign
    assert "contested" in gateway.says("status")
    # It looks after others, and has looked at this one besides.
    other = cluster.asking(7000)
    workload(cluster, TOGETHER, other)
    until(lambda: cluster.published(other), "another task has its address")
    assert [write for write in cluster.ask("writes", task=task)["writes"] if write["key"] == "endpoint"] == mine
    assert gateway.visit(task).status_code == 200
    for one in (task, other):
        clearml(cluster, "tasks.stopped", {"task": one, "force": True})
    cluster.kubectl("-n", TOGETHER, "delete", "pod", pod, f"clearml-id-{other}", "--wait=false")
    until(lambda: gateway.metric("portico_publish_contested") == 0, "what has ended is not contested", within=60)


def test_the_gateways_know_each_other_by_their_leases(cluster, gateways):
    leases = cluster.get(TOGETHER, "leases", "-l", "portico/gateway")["items"]
    told = {lease["metadata"]["labels"]["portico/gateway"]: lease["metadata"]["annotations"] for lease in leases}
    assert set(told) == {"inside", "outside", "trial"}
    assert told["inside"]["portico/url"] == gateways.inside.url
    assert told["outside"]["portico/queues"] == '["partners"]'
    assert told["trial"]["portico/publish"] == "never"


@pytest.mark.judges
def test_a_gateway_that_has_fallen_silent_loses_its_tasks_to_the_next(cluster, fallen):
    until(lambda: str(cluster.published(fallen.task)).startswith(fallen.younger.url), "the younger one has taken over", within=120)
    until(lambda: fallen.younger.visit(fallen.task).status_code == 200, "it leads to the task")
    values = [write["from"] for write in cluster.ask("writes", task=fallen.task)["writes"] if write["key"] == "endpoint"]
    assert len(values) == len(set(values)) == 2


@pytest.mark.judges
def test_for_ten_minutes_no_key_of_a_task_is_written_twice(cluster, gateways):
    rest = gateways.since + WATCHED - time.monotonic()
    until(lambda: time.monotonic() > gateways.since + WATCHED, "ten minutes are over", within=max(rest, 0) + 10)
    trial = gateways.trial.address()
    for task, url in owners(gateways).items():
        writes = cluster.ask("writes", task=task)["writes"]
        counts = Counter(write["key"] for write in writes)
        assert counts["endpoint"] == 1, writes
        assert max(counts.values()) == 1, writes
        assert trial not in {write["from"] for write in writes}
        assert cluster.published(task).startswith(url)
    for task, ports in stream_owners(gateways).items():
        writes = cluster.ask("writes", task=task)["writes"]
        counts = Counter(write["key"] for write in writes)
        assert counts.keys() >= STREAM_KEYS, writes
        assert max(counts.values()) == 1, writes
        assert len({write["from"] for write in writes}) == 1, writes
        assert public_port(cluster, task) in ports
    for gateway in (gateways.inside, gateways.outside, gateways.trial, gateways.far):
        assert gateway.metric("portico_publish_contested") == 0
    assert gateways.inside.visit(gateways.tasks["own"]).status_code == 200
    tasks = len(gateways.tasks) + len(gateways.streams)
    print(f"watched for {time.monotonic() - gateways.since:.0f} s, {tasks} tasks, 4 gateways")
