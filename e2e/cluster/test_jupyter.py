"""JupyterLab in a pod of the real agent, reached with a browser by each of the ways that lead to the gateway."""

from agent_walk import HOST

# Behind Envoy, which says who visits.
BEHIND = {"externalURL": f"https://{HOST}", "service": {"type": "ClusterIP"}, "trustedProxies": ["198.18.1.0/24"]}


def test_through_an_ingress_with_tls(walk, browser):
    ingress = {"enabled": True, "hostName": HOST, "className": "contour", "tlsSecretName": walk.certificate()}
    walk.install(f"https://{HOST}", **BEHIND, ingress=ingress)
    walk.alice_runs_a_cell(browser)


def test_through_an_http_route(walk, browser):
    parent = {"name": "public", "namespace": "gateways", "sectionName": "https"}
    walk.install(f"https://{HOST}", **BEHIND, httpRoute={"enabled": True, "parentRefs": [parent]})
    walk.alice_runs_a_cell(browser)


def test_by_a_node_port_over_plain_http(walk, browser):
    walk.install()
    walk.alice_runs_a_cell(browser)
