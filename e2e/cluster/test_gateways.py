"""Several releases: each serves under its own name, one owns a task, and nobody writes against anybody. It is watched for ten minutes,
while all other tests run."""

import os
import time
from collections import Counter
from types import SimpleNamespace

import pytest
from kubernetes_world import until
from releases import Release, clearml, workload

# Shorter while somebody works on these tests.
WATCHED = float(os.environ.get("PORTICO_CLUSTER_WATCH", "600"))
TOGETHER, APART, FALLEN = "gateways-together", "gateways-apart", "gateways-fallen"
STREAMS = {"streamSession": {"portRange": {"start": 30240, "end": 30244}}}
OTHER_STREAMS = {"streamSession": {"portRange": {"start": 30245, "end": 30249}}}


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
        until(lambda release=release: ready(release), f"{release.release} is ready", within=120)
    tasks = {name: cluster.asking(7000) for name in ("own", "partners", "elsewhere")}
    workload(cluster, TOGETHER, tasks["own"])
    workload(cluster, TOGETHER, tasks["partners"], queue="partners")
    workload(cluster, APART, tasks["elsewhere"])
    yield SimpleNamespace(inside=inside, outside=outside, trial=trial, far=far, tasks=tasks, since=time.monotonic())
    for release in all_four:
        release.uninstall()
    for task in tasks.values():
        clearml(cluster, "tasks.stopped", {"task": task, "force": True})
    cluster.kubectl("delete", "namespace", TOGETHER, APART, "--wait=false")


def ready(release):
    """Whether its Deployment has its pod."""
    status = release.cluster.get(release.namespace, "deployment", release.name).get("status", {})
    return status.get("readyReplicas") == 1


def owners(gateways):
    """Which gateway's address stands in each task."""
    said = {"own": gateways.inside, "partners": gateways.outside, "elsewhere": gateways.far}
    return {gateways.tasks[name]: f"{gateway.url}/service/{gateways.tasks[name]}" for name, gateway in said.items()}


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


def test_the_gateways_know_each_other_by_their_leases(cluster, gateways):
    leases = cluster.get(TOGETHER, "leases", "-l", "portico/gateway")["items"]
    told = {lease["metadata"]["labels"]["portico/gateway"]: lease["metadata"]["annotations"] for lease in leases}
    assert set(told) == {"inside", "outside", "trial"}
    assert told["inside"]["portico/url"] == gateways.inside.url
    assert told["outside"]["portico/queues"] == '["partners"]'
    assert told["trial"]["portico/publish"] == "never"


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
    for gateway in (gateways.inside, gateways.outside, gateways.trial, gateways.far):
        assert gateway.metric("portico_publish_contested") == 0
    assert gateways.inside.visit(gateways.tasks["own"]).status_code == 200
    print(f"watched for {time.monotonic() - gateways.since:.0f} s, {len(gateways.tasks)} tasks, 4 gateways")
