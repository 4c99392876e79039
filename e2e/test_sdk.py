"""The unmodified SDK asks for endpoints, and gets their addresses back."""

import hashlib

import pytest
from world.namespace import WORKER, free_port
from world.tasks import TaskFailed
from world.wait import Stopwatch, noted, until


@pytest.fixture(scope="module")
def enterprise(shared_place):
    """A server with enterprise features, where the SDK is willing to ask, and a gateway for it."""
    emulator = shared_place.emulator(feature_set="advanced")
    return emulator, shared_place.gateway(emulator)


@pytest.fixture(scope="module")
def open_source(shared_place):
    """An open-source server, where the SDK refuses to ask, and a gateway for it."""
    emulator = shared_place.emulator(feature_set="basic")
    return emulator, shared_place.gateway(emulator)


@pytest.fixture(scope="module")
def applications(shared_place):
    """What the tasks run."""
    return shared_place.applications()


def slug_of(name, cleaned):
    """The slug of a name that cannot stand in a URL as it is."""
    return f"{cleaned}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def browser_endpoint(gateway, task, slug=None):
    """Where people are sent who have yet to log in."""
    named = f"&endpoint={slug}" if slug else ""
    return f"{gateway.url}/_gateway/open?router=e2e&task={task}{named}"


def test_an_unnamed_and_two_named_endpoints_get_their_addresses(enterprise, applications, place):
    emulator, gateway = enterprise
    task = place.sdk_task(emulator, name="three endpoints")
    fancy = slug_of("My UI", "my-ui")
    for name, slug in ((None, None), ("api", "api"), ("My UI", fancy)):
        application = applications.echo()
        asked = task.request(application.port, name=name)
        answer = asked["answer"]
        assert answer["endpoint"] == gateway.link(task.id, slug)
        assert answer["browser_endpoint"] == browser_endpoint(gateway, task.id, slug)
        assert (answer["port"], answer["protocol"], answer["name"]) == (application.port, "http", name)
        noted(asked["seconds"], promised=5)
        with gateway.client(auth=emulator.key("alice")) as alice:
            arrived = alice.get(gateway.prefix(task.id, slug) + "hello")
            assert arrived.status_code == 200 and arrived.json()["echo"], arrived.text
        assert len(application.arrived) >= 1
    listed = {entry["name"]: entry["endpoint"] for entry in task.do("listed")}
    assert listed == {
        None: gateway.link(task.id),
        "api": gateway.link(task.id, "api"),
        "My UI": gateway.link(task.id, fancy),
    }
    assert emulator.unknown_calls() == {}


def test_what_the_sdk_writes_afterwards_and_what_portico_writes_do_not_erase_each_other(enterprise, applications, place):
    emulator, gateway = enterprise
    task = place.sdk_task(emulator, name="reports")
    task.request(applications.echo().port)
    task.do("report", value=7)
    task.request(applications.echo().port, name="api")
    runtime = emulator.runtime(task.id)
    assert runtime["progress"] == "7"
    assert runtime["endpoint"] == gateway.link(task.id)
    assert runtime["endpoint__api"] == gateway.link(task.id, "api")
    # The SDK replaces the whole dictionary: whatever was lost comes back by itself.
    lost = {name: value for name, value in runtime.items() if not name.startswith(("endpoint", "browser_endpoint"))}
    emulator.control("runtime", task=task.id, runtime=lost)
    gateway.published(task.id)
    gateway.published(task.id, "__api")
    assert emulator.runtime(task.id)["progress"] == "7"


def test_a_closed_task_loses_its_addresses(enterprise, applications, place):
    emulator, gateway = enterprise
    task = place.sdk_task(emulator, name="closes")
    task.request(applications.echo().port)
    task.request(applications.echo().port, name="api")
    task.close()
    assert emulator.task(task.id)["status"] == "completed"
    watch = Stopwatch()
    published = ("endpoint", "browser_endpoint", "endpoint__api", "browser_endpoint__api")
    until(lambda: not any(key in emulator.runtime(task.id) for key in published))
    noted(watch.seconds, promised=5)
    # What the task said of itself is not Portico's to take away.
    assert "_PORT" in emulator.runtime(task.id)


def test_the_open_source_server_needs_only_runtime_keys_and_the_tag(open_source, applications, place):
    emulator, gateway = open_source
    application = applications.echo()
    task = place.sdk_task(emulator, name="by runtime keys")
    with pytest.raises(TaskFailed, match="ValueError"):
        task.request(application.port)
    watch = Stopwatch()
    task.do("runtime", values={"_SERVICE": "EXTERNAL", "_ADDRESS": WORKER, "_PORT": application.port})
    assert gateway.published(task.id) == gateway.link(task.id)
    noted(watch.seconds, promised=5)
    # The web application of the open-source server shows user properties, so that is where people see it.
    until(lambda: emulator.properties(task.id).get("gateway_url") == gateway.link(task.id))
    with gateway.client(auth=emulator.key("alice")) as alice:
        assert alice.get(gateway.prefix(task.id)).status_code == 200
    assert emulator.unknown_calls() == {}
    emulator.end(task.id)
    until(lambda: "endpoint" not in emulator.runtime(task.id) and "gateway_url" not in emulator.properties(task.id))


@pytest.mark.parametrize(("written", "slug"), [("http:{port}", None), ("ui=http:{port},access=owner", "ui")])
def test_the_open_source_server_needs_only_the_property_portico(open_source, applications, place, written, slug):
    emulator, gateway = open_source
    application = applications.echo()
    task = place.sdk_task(emulator, name="by property")
    emulator.report_as_agent(task.id)
    watch = Stopwatch()
    written = written.format(port=application.port)
    task.do("properties", values={"portico": written})
    suffix = f"__{slug}" if slug else ""
    assert gateway.published(task.id, suffix) == gateway.link(task.id, slug)
    noted(watch.seconds, promised=5)
    until(lambda: emulator.properties(task.id).get(f"gateway_url{suffix}") == gateway.link(task.id, slug))
    assert emulator.properties(task.id)["portico"] == written, "the request is the owner's to keep"
    with gateway.client(auth=emulator.key("alice")) as alice:
        assert alice.get(gateway.prefix(task.id, slug)).status_code == 200
    with gateway.client(auth=emulator.key("bob")) as bob:
        assert bob.get(gateway.prefix(task.id, slug)).status_code == (403 if slug else 200)
    assert emulator.unknown_calls() == {}


def test_a_task_that_asks_before_the_gateway_starts_is_found(applications, place):
    emulator = place.emulator()
    port = free_port()
    task = emulator.asking("alice", port)
    gateway = place.gateway(emulator)
    assert gateway.published(task) == gateway.link(task)
