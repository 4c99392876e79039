"""The page about node ports: the guide's second values, without an ingress, over plain HTTP."""

import pytest
from engineer import Engineer
from kubernetes_world import NODE
from world.pages import commands

PAGE = "docs/how-to/node-port.md"
(UPGRADE,) = commands(PAGE)
# Ports that no other test has.
PORTS = (("10.0.0.5", NODE), ("30080", "30090"), ("30081", "30091"), ("30100", "30092"), ("30119", "30094"))


@pytest.fixture
def engineer(cluster, registry, tmp_path):
    """An engineer without a certificate."""
    with Engineer(cluster, "guide-port", tmp_path) as engineer:
        engineer.log_in()
        yield engineer


def test_tasks_are_served_at_a_node_port_and_the_console_and_streams_at_others(engineer):
    engineer.write_values(PAGE, replacing=PORTS)
    engineer.type(UPGRADE)
    engineer.serves(f"http://{NODE}:30090")

    engineer.write_values(PAGE, 1, 2, replacing=PORTS)
    engineer.type(UPGRADE)
    engineer.serves(f"http://{NODE}:30090")
    engineer.shows_console(f"http://{NODE}:30091")
    service = engineer.cluster.get(engineer.namespace, "service", "main-portico-stream")
    assert [port["nodePort"] for port in service["spec"]["ports"]] == [30092, 30093, 30094]
