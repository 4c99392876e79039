"""A ClearML server that is away, slow, or says nonsense takes nothing away from those who work."""

from pathlib import Path

import pytest
from world.wait import until

_FAULTS = {
    "is unreachable": {"unreachable": True},
    "answers 500": {"status": 500},
    "answers pages of a proxy": {"html": True},
    "names another company": {"wrong_company": True},
    "answers with a gigabyte": {"huge_bytes": 1 << 30},
    "refuses the gateway": {"status": 403},
}


@pytest.fixture(scope="module")
def working(shared_place):
    """A gateway with an endpoint of alice's that works, and some other tasks."""
    emulator = shared_place.emulator()
    gateway = shared_place.gateway(emulator)
    applications = shared_place.applications()
    tasks = [emulator.asking(user, applications.echo().port) for user in ("alice", "alice", "bob", "bob")]
    for task in tasks:
        gateway.published(task)
    return emulator, gateway, tasks[0]


def polls(emulator):
    """How often the gateway has asked for tasks."""
    return emulator.ask("calls")["calls"].get("tasks.get_all_ex", 0)


def works(emulator, gateway, task):
    """Whether alice and bob get to her endpoint, and its address is published."""
    for user in ("alice", "bob"):
        with gateway.client(auth=emulator.key(user)) as visitor:
            answer = visitor.get(gateway.prefix(task))
            assert answer.status_code == 200, f"{user}: {answer.status_code} {answer.text}"
    return emulator.runtime(task)["endpoint"] == gateway.link(task)


@pytest.mark.parametrize("fault", _FAULTS.values(), ids=_FAULTS.keys())
def test_what_worked_goes_on_while_the_server(working, fault):
    emulator, gateway, task = working
    assert works(emulator, gateway, task)
    try:
        emulator.control("faults", **fault)
        since = polls(emulator)
        # Retries with growing pauses: three polls are seen in any case.
        until(lambda: polls(emulator) >= since + 3 or fault.get("unreachable"), within=40, what="the gateway polls on")
        assert works(emulator, gateway, task)
        assert resident(gateway) < 150 << 20
    finally:
        emulator.come_back()
    until(lambda: works(emulator, gateway, task))
    # And new tasks are found again.
    new = emulator.asking("alice", 1)
    gateway.published(new, within=60)
    emulator.control("delete_task", task=new)


@pytest.mark.parametrize("fault", [{"empty": True}, {"half": True}], ids=["all", "every second"])
def test_one_answer_that_leaves_out_tasks_takes_nothing_away(working, fault):
    emulator, gateway, task = working
    assert works(emulator, gateway, task)
    try:
        emulator.control("faults", endpoints=["tasks.get_all_ex"], **fault)
        since = polls(emulator)
        until(lambda: polls(emulator) > since, what="the gateway has asked")
    finally:
        emulator.come_back()
    since = polls(emulator)
    until(lambda: polls(emulator) >= since + 2)
    assert works(emulator, gateway, task)


def resident(gateway):
    """Bytes of memory that the gateway holds."""
    for line in Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")
