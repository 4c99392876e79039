"""A real Kubernetes with the emulated ClearML server and Portico in it. `cargo xtask cluster test` starts it and says where it is."""

import os
import sys
from pathlib import Path

import pytest
from kubernetes_world import Cluster, until

# What the other end-to-end tests use, but not their own network.
sys.path.insert(0, str(Path(__file__).parents[1]))

from world.reports import pytest_runtest_makereport  # noqa: E402, F401

# A run of the other end-to-end tests passes by here.
collect_ignore_glob = [] if "PORTICO_CLUSTER_KUBECTL" in os.environ else ["test_*.py"]


def pytest_configure(config):
    config.addinivalue_line("markers", "begins: comes before the others, because something is watched from then on, or takes a while")
    config.addinivalue_line("markers", "judges: comes after all others, because something was watched until then")


def pytest_collection_modifyitems(items):
    def turn(item):
        return (
            item.get_closest_marker("judges") is not None,
            # The image for the registry is being built meanwhile.
            "registry" in item.fixturenames,
            item.get_closest_marker("begins") is None,
            # The agent's pods start meanwhile.
            "walk" in item.fixturenames,
        )

    items.sort(key=turn)


@pytest.fixture(scope="session")
def cluster():
    """The cluster, with a ClearML server in a namespace of its own."""
    cluster = Cluster()
    cluster.start_clearml()
    return cluster


@pytest.fixture(scope="session")
def gateway(cluster):
    """A release of the chart in the namespace of the workloads, on a node port."""
    return cluster.install("main", "workloads", 30080)


@pytest.fixture(scope="session")
def api(cluster, tmp_path_factory):
    """The ClearML server by the name and the protocol that the pages show."""
    from api_host import offer

    offer(cluster, tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="session")
def registry(cluster, api, tmp_path_factory):
    """The registry, into which somebody has brought the image and the chart as the install page says."""
    from engineer import Engineer
    from world.pages import commands

    login, to_charts, image, copy, package, push, *_ = commands("docs/how-to/install.md")
    with Engineer(cluster, "guide-publish", tmp_path_factory.mktemp("publish")) as engineer:
        engineer.type(login)
        engineer.type(to_charts)
        engineer.type_image(image)
        for command in (copy, package, push):
            engineer.type(command)


@pytest.fixture(scope="session")
def route_makers(cluster):
    """A cluster whose administrators of namespaces may make routes: the ready-made roles do not know them."""
    verbs = ["get", "list", "watch", "create", "update", "patch", "delete"]
    rule = {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["httproutes"], "verbs": verbs}
    about = {"name": "routes", "labels": {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}}
    cluster.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": about, "rules": [rule]})
    # A controller adds it to the role, which all of the API server then has to hear of.
    until(lambda: "httproutes" in cluster.kubectl("get", "clusterrole", "admin", "-o", "json"), "administrators may make routes")
    yield
    cluster.kubectl("delete", "clusterrole", "routes")


@pytest.fixture(scope="session")
def walk(cluster, registry, route_makers, tmp_path_factory):
    """What a new user has: a namespace with the real agent, and a release of the chart for its tasks, from the registry."""
    from agent_walk import Walk

    walk = Walk(tmp_path_factory.mktemp("walk"), cluster)
    yield walk
    walk.stop()


@pytest.fixture(scope="session")
def note():
    """Notes a figure in `target/e2e/cluster.json`: `note("agent", seconds=1.5)`."""
    from agent_report import Report

    report = Report()
    yield report.note
    report.write()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """The one Chromium, on a machine of its own: beside pods that come and go it believes that its network changes, and gives up what it
    asked for."""
    from world.browser import Browser
    from world.laptop import Laptop
    from world.programs import CHROMIUM

    laptop = Laptop(tmp_path_factory.mktemp("visitors") / "laptop")
    browser = Browser(laptop.launcher(CHROMIUM))
    yield browser
    browser.quit()
    laptop.stop()


@pytest.fixture
def browser(chromium):
    """Makes visitors; they are gone after the test."""
    yield chromium
    chromium.dismiss()
