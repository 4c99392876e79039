"""JupyterLab in a pod of the real agent, reached with a browser by each of the ways that lead to the gateway."""


def test_by_a_node_port_over_plain_http(walk, browser):
    walk.install()
    walk.alice_runs_a_cell(browser)
