"""What is open is decided again, and cut when it is no longer allowed: threat 12. A neighbor does not notice."""

import threading

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from world.wait import Stopwatch, noted, until


@pytest.fixture
def world(place):
    """A gateway, an endpoint of alice's that everybody who sees the task may open."""
    emulator = place.emulator()
    gateway = place.gateway(emulator)
    echo = place.applications().echo()
    properties = {"portico": f"ui=http:{echo.port}"}
    task = emulator.control("task", user="alice", name="shared", status="in_progress", properties=properties)["id"]
    emulator.report_as_agent(task)
    return emulator, gateway, echo, task


class Socket:
    """An open WebSocket through the gateway, and how it was closed."""

    def __init__(self, gateway, path, **headers):
        url = gateway.url.replace("http", "ws", 1) + path + "socket"
        self._socket = connect(url, additional_headers=headers, origin=gateway.url, proxy=None, legacy=True)
        self._socket.recv(timeout=10)
        self.code = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        try:
            while True:
                self._socket.recv()
        except ConnectionClosed as closed:
            self.code = closed.rcvd.code if closed.rcvd else 1006

    def is_open(self):
        """Whether nobody has closed it."""
        return self.code is None

    def closed(self, promised):
        """Waits for its end, which is promised within so many seconds; returns the code."""
        watch = Stopwatch()
        code = until(lambda: self.code, within=60, what="the socket closes")
        noted(watch.seconds, promised)
        return code

    def close(self):
        """Leaves."""
        self._socket.close()


def signed_in(browser, gateway, path, login):
    """A visitor with a session; returns them and their cookie as a header."""
    visitor = browser.visitor()
    visitor.open(gateway.url + path)
    visitor.log_in(login)
    visitor.page.wait_for_load_state()
    cookie = until(visitor.session_cookie)
    return visitor, f"{cookie['name']}={cookie['value']}"


def test_logging_out_closes_what_the_session_has_open_and_nothing_else(world, browser):
    emulator, gateway, _, task = world
    gateway.published(task, "__ui")
    path = gateway.prefix(task, "ui")
    alice, cookie = signed_in(browser, gateway, path, "alice")
    _, other = signed_in(browser, gateway, path, "alice")
    leaving, staying = Socket(gateway, path, Cookie=cookie), Socket(gateway, path, Cookie=other)
    alice.open(gateway.url)
    alice.page.get_by_role("link", name="Log out").click()
    alice.page.get_by_role("button", name="Log out").click()
    assert leaving.closed(promised=5) == 4401
    assert staying.is_open()
    staying.close()


def test_tightening_the_rule_closes_what_others_have_open(world, browser):
    emulator, gateway, echo, task = world
    gateway.published(task, "__ui")
    path = gateway.prefix(task, "ui")
    sockets = {login: Socket(gateway, path, Cookie=signed_in(browser, gateway, path, login)[1]) for login in ("alice", "bob")}
    tightened = {"section": "properties", "name": "portico", "value": f"ui=http:{echo.port},access=owner"}
    emulator.call("alice", "tasks.edit_hyper_params", task=task, hyperparams=[tightened], force=True)
    assert sockets["bob"].closed(promised=8) == 4403
    assert sockets["alice"].is_open()
    sockets["alice"].close()


def test_streams_of_an_ended_task_end(world):
    emulator, gateway, _, task = world
    gateway.published(task, "__ui")
    path = gateway.prefix(task, "ui")
    with gateway.client(auth=emulator.key("alice")) as alice, alice.stream("GET", path + "events") as answer:
        lines = answer.iter_lines()
        next(lines)
        emulator.end(task)
        watch = Stopwatch()
        with pytest.raises(Exception, match="(?i)incomplete|peer closed|reset"):
            for _ in lines:
                assert watch.seconds < 60
        noted(watch.seconds, promised=6)


def test_a_gateway_that_stops_says_so_to_open_sockets(place):
    emulator = place.emulator()
    gateway = place.gateway(emulator, PORTICO__SHUTDOWN__STREAM_GRACE="0s")
    task = emulator.asking("alice", place.applications().echo().port)
    gateway.published(task)
    token = emulator.control("token", user="alice")["token"]
    socket = Socket(gateway, gateway.prefix(task), Authorization=f"Bearer {token}")
    gateway.restart()
    assert socket.closed(promised=5) == 1001
    Socket(gateway, gateway.prefix(task), Authorization=f"Bearer {token}").close()
