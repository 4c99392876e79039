"""JupyterLab in a pod of the real agent, reached with a browser by each of the ways that lead to the gateway."""

from agent_walk import NAMESPACE

COOKIE = {"name": "ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE", "value": "false"}


def variables(walk):
    """What the gateway's container is given besides the chart's."""
    (container,) = walk.cluster.get(NAMESPACE, "deployment", "main-portico")["spec"]["template"]["spec"]["containers"]
    return container["env"]


def test_through_an_ingress_with_tls(walk, browser):
    """By the guide's first values, with which the release was installed."""
    assert walk.url.startswith("https://")
    notebook = walk.alice_runs_a_cell(browser)
    assert notebook.visitor.session_cookie()["secure"]


def test_through_an_http_route(walk, browser):
    walk.engineer.may("create", "httproutes.gateway.networking.k8s.io")
    walk.install_behind_a_route()
    walk.alice_runs_a_cell(browser)


def test_by_a_node_port_over_plain_http(walk, browser):
    """By the guide's second values over its first ones, the variable for cookies included."""
    walk.install_at_a_node_port()
    assert COOKIE in variables(walk)
    assert walk.url.startswith("http://")
    notebook = walk.alice_runs_a_cell(browser)
    assert not notebook.visitor.session_cookie()["secure"]
