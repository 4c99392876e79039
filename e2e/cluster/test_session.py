"""SSH into a pod of the real agent by the stock `clearml-session`, and what is open while the gateway is upgraded."""

from kubernetes_world import NODE, until
from world.session import PASSWORD, Ssh
from world.terminal import Terminal


def test_the_stock_client_reaches_its_pod_through_the_stream_service(walk):
    tunnel = walk.session.is_up(within=180)
    task = walk.session.task
    port = walk.public_port(task)
    assert walk.session.dials()[-1] == f"{NODE}:{port}"
    pod = f"clearml-id-{task}"
    assert Ssh(walk.laptop, port, NODE).run("hostname") == pod
    assert Ssh(walk.laptop, tunnel, "localhost").run("hostname") == pod
    assert walk.clearml.unknown_calls() == {}


def test_open_ssh_and_an_open_kernel_survive_an_upgrade(walk, browser):
    """The old gateway holds what is open until it is closed; everything new comes to the new one."""
    walk.install_at_a_node_port()
    walk.session.is_up(within=180)
    dials = walk.session.dials()
    port = walk.public_port(walk.session.task)
    ssh = Terminal(walk.laptop, ["ssh", "-p", port, f"root@{NODE}"], "ssh")
    try:
        ssh.shows(r"\(yes/no")
        ssh.types("yes")
        ssh.shows("password:")
        ssh.types(PASSWORD)
        # Sums, because what is typed is shown, too.
        ssh.types("echo before-$((6 * 7))")
        ssh.shows("before-42")
        notebook = walk.alice_runs_a_cell(browser)
        notebook.run("kept = 6 * 7; print(kept)", prints="42")
        (before,) = walk.gateways()

        walk.install_at_a_node_port(shutdown={"streamGraceSeconds": 1800})
        pods = until(lambda: len(walk.gateways()) == 2 and walk.gateways(), "the old gateway is still there, beside the new one")
        assert "deletionTimestamp" in pods[before]["metadata"]
        ssh.types("echo after-$((6 * 7))")
        ssh.shows("after-42")
        notebook.run("print(kept + 1)", prints="43")
        assert notebook.kernel_sockets() == []
        assert walk.session.dials() == dials
        # Who comes now is served by the new one, on the same port.
        assert walk.public_port(walk.session.task) == port
        assert Ssh(walk.laptop, port, NODE).run("hostname") == f"clearml-id-{walk.session.task}"
        assert set(walk.gateways()) == set(pods)
    finally:
        ssh.stop()
    browser.dismiss()
    walk.session.shut_down()
    until(lambda: before not in walk.gateways(), "the old gateway ends once nothing is open", within=60)
