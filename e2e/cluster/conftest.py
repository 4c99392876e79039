"""A real Kubernetes with the emulated ClearML server and Portico in it. `cargo xtask cluster test` starts it and says where it is."""

import os

import pytest
from kubernetes_world import Cluster

# A run of the other end-to-end tests passes by here.
collect_ignore_glob = [] if "PORTICO_CLUSTER_KUBECTL" in os.environ else ["test_*.py"]


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
