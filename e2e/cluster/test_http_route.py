"""The page about HTTPRoutes: a real Gateway in another namespace, which somebody else has made, takes the chart's routes."""

import pytest
from engineer import Engineer
from world.pages import commands

PAGE = "docs/how-to/http-route.md"
UPGRADE, LOOK = commands(PAGE)


@pytest.fixture
def engineer(cluster, registry, route_makers, tmp_path):
    """An engineer in a cluster whose administrators of namespaces may make routes."""
    with Engineer(cluster, "guide-route", tmp_path) as engineer:
        engineer.may("create", "httproutes.gateway.networking.k8s.io")
        engineer.log_in()
        yield engineer


def test_a_gateways_routes_lead_to_tasks_and_console(engineer):
    engineer.keep_key()
    engineer.write_values(PAGE)
    engineer.type(UPGRADE)
    engineer.serves("https://gateway.example.com")
    engineer.shows_console("https://console.example.com")
    told = engineer.type(LOOK)
    assert "gateway.example.com" in told and "console.example.com" in told
