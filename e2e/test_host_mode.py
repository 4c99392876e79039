"""Host mode: which addresses of tasks are dialed, and what the operator reads about the others (threat 11)."""

import pytest
from world.namespace import GATEWAY, WORKER, free_port
from world.wait import until


@pytest.fixture(scope="module")
def host(shared_place):
    """A gateway that believes claims of its own network."""
    emulator = shared_place.emulator()
    return emulator, shared_place.gateway(emulator), shared_place.applications()


def explained(gateway, task, *said):
    """Waits until `portico explain` says all of it; returns the whole text."""

    def says():
        text = gateway.run("explain", task, status=None)
        missing = [words for words in said if words not in text]
        assert not missing, f"{missing} not in:\n{text}"
        return text

    return until(says)


def is_never_dialed(emulator, gateway, task, echo):
    """Neither its owner nor anybody gets through, and it has no published address."""
    with gateway.client(auth=emulator.key("alice")) as alice:
        answer = alice.get(gateway.prefix(task))
        assert answer.status_code == 502, answer.text
        assert answer.json()["error"]["code"] == "address_refused"
    assert "endpoint" not in emulator.runtime(task)
    assert echo.texts() == []


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "0.0.0.0", "169.254.169.254", "fe80::1", "::ffff:169.254.169.254"],
)
def test_addresses_that_are_nobodys_are_never_dialed(host, address):
    emulator, gateway, applications = host
    echo = applications.echo()
    task = emulator.asking("alice", echo.port, address=address)
    shown = address.removeprefix("::ffff:")
    explained(gateway, task, shown, "not allowed")
    is_never_dialed(emulator, gateway, task, echo)


def test_the_gateways_own_port_is_never_dialed(host):
    emulator, gateway, applications = host
    for address in (GATEWAY, WORKER):
        task = emulator.asking("alice", gateway.port, address=address)
        explained(gateway, task, address, "gateway itself")
        is_never_dialed(emulator, gateway, task, applications.echo())
    for port in (gateway.operations_port, emulator.port):
        task = emulator.asking("alice", port, address=GATEWAY)
        explained(gateway, task, "gateway itself")


def test_a_foreign_network_is_refused_with_the_line_that_allows_it(host):
    emulator, gateway, applications = host
    task = emulator.asking("alice", 80, address="203.0.113.5")
    explained(gateway, task, "203.0.113.5", 'discovery.networks: ["203.0.113.5/32"]')
    is_never_dialed(emulator, gateway, task, applications.echo())


def test_names_are_no_addresses(host):
    emulator, gateway, applications = host
    echo = applications.echo()
    task = emulator.asking("alice", echo.port, address="localhost")
    explained(gateway, task, "localhost")
    with gateway.client(auth=emulator.key("alice")) as alice:
        assert alice.get(gateway.prefix(task)).status_code == 502
    assert echo.texts() == []


def test_an_application_bound_to_loopback_is_recognized(host):
    emulator, gateway, applications = host
    echo = applications.echo(address="127.0.0.1")
    task = emulator.asking("alice", echo.port)
    gateway.published(task)
    explained(gateway, task, "not_listening", "listens on 127.0.0.1 only", f"0.0.0.0:{echo.port}")


def test_a_closed_port_is_starting_until_something_listens(host):
    emulator, gateway, applications = host
    port = free_port()
    task = emulator.asking("alice", port)
    gateway.published(task)
    with gateway.client(auth=emulator.key("alice")) as alice:
        early = alice.get(gateway.prefix(task))
        assert (early.status_code, early.json()["error"]["code"]) == (503, "starting")
        assert int(early.headers["retry-after"]) > 0
        applications.echo(port=port)
        until(lambda: alice.get(gateway.prefix(task)).status_code == 200)


def test_the_page_of_a_starting_application_opens_it_by_itself(host, browser):
    emulator, gateway, applications = host
    port = free_port()
    task = emulator.asking("alice", port)
    link = gateway.published(task)
    alice = browser.visitor()
    alice.open(link)
    alice.log_in("alice")
    alice.page.get_by_text("starting").first.wait_for()
    applications.echo(port=port)
    alice.page.get_by_text("The echo").wait_for()


@pytest.mark.parametrize(
    "runtime",
    [
        {"_PORT": "70000"},
        {"_PORT": 0},
        {"_PORT": -1},
        {"_PORT": "http"},
        {"_PORT": 3.5},
        {"_PORT": []},
        {"_PORT": None},
        {"_PORT": "8" * 1_000_000},
        {"_PORT": 80, "_ADDRESS": {"a": 1}},
        {"_PORT": 80, "_ADDRESS": "x" * 1_000_000},
    ],
    ids=lambda runtime: repr(runtime)[:30],
)
def test_absurd_requests_harm_nobody_else(host, runtime):
    emulator, gateway, applications = host
    good = emulator.asking("alice", applications.echo().port)
    absurd = emulator.asking("alice", 80, runtime={"_SERVICE": "EXTERNAL", "_ADDRESS": WORKER, **runtime})
    gateway.published(good)
    with gateway.client(auth=emulator.key("alice")) as alice:
        assert alice.get(gateway.prefix(good)).status_code == 200
        until(lambda: alice.get(gateway.prefix(absurd)).status_code in (404, 502))
    assert "endpoint" not in emulator.runtime(absurd)
    # Nothing absurd is left behind for the tests that share this gateway.
    emulator.control("delete_task", task=absurd)


def test_a_port_written_as_text_is_a_port(host):
    emulator, gateway, applications = host
    task = emulator.asking("alice", str(applications.echo().port))
    gateway.published(task)


def test_two_owners_who_claim_one_address_get_nobody_in_and_are_told(host):
    emulator, gateway, applications = host
    echo = applications.echo()
    first = emulator.asking("alice", echo.port)
    gateway.published(first)
    second = emulator.asking("bob", echo.port)
    explained(gateway, second, first)
    for user in ("alice", "bob"):
        with gateway.client(auth=emulator.key(user)) as visitor:
            until(lambda visitor=visitor: visitor.get(gateway.prefix(first)).json()["error"]["code"] == "address_contested")
    emulator.end(second)
    with gateway.client(auth=emulator.key("alice")) as alice:
        until(lambda: alice.get(gateway.prefix(first)).status_code == 200)


def test_only_tasks_of_the_listed_queues_are_served(place):
    emulator = place.emulator()
    gateway = place.gateway(emulator, LISTEN_QUEUE_NAME='"notebooks services"')
    applications = place.applications()
    served = emulator.asking("alice", applications.echo().port, queue="services")
    other = emulator.asking("alice", applications.echo().port, queue="default")
    gateway.published(served)
    explained(gateway, other, "default", "LISTEN_QUEUE_NAME")
    assert "endpoint" not in emulator.runtime(other)
