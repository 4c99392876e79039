"""The emulated ClearML server with its tasks, and the gateway in front of them."""

import html
import http.client
import json
import re
import time

import httpx
from world.emulator import Emulator
from world.gateway import Gateway
from world.namespace import WORKER
from world.wait import until

from bench.load import OTHER_CORE, PROXY_CORE, on_core


class Stage:
    """Everything that one part needs; ended in the reverse order."""

    def __init__(self, directory):
        self.directory = directory
        self._running = []
        self._count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for started in reversed(self._running):
            started.stop()

    def start(self, kind, *given, **options):
        """Starts something in a directory of its own."""
        self._count += 1
        started = kind(self.directory / f"{self._count}-{kind.__name__.lower()}", *given, **options)
        self._running.append(started)
        return started

    def emulator(self):
        """Starts a ClearML server, away from the proxy's core."""
        with on_core(OTHER_CORE):
            return self.start(Emulator)

    def gateway(self, emulator, **env):
        """Starts Portico with one data thread on the proxy's core."""
        with on_core(PROXY_CORE):
            return self.start(
                Gateway,
                emulator,
                PORTICO__HTTP__THREADS="1",
                PORTICO__HTTP__CONNECTIONS_PER_ADDRESS="20000",
                **env,
            )


def add_tasks(emulator, count):
    """Has the server know `count` tasks that ask, each for an address of its own; returns their ids and addresses."""
    connection = http.client.HTTPConnection(emulator.url.split("//")[1])
    made = []
    for number in range(count):
        address, port = f"198.18.0.{20 + number % 200}", 30000 + number // 200
        request = {
            "user": "alice",
            "name": f"task {number}",
            "status": "in_progress",
            "runtime": {"_SERVICE": "EXTERNAL", "_ADDRESS": address, "_PORT": port},
            "system_tags": ["development", "external_service"],
        }
        connection.request("POST", "/_emulator/task", json.dumps(request), {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        made.append((answer["id"], f"{address}:{port}"))
    return made


def add_application(emulator, port):
    """Has the server know the task behind which the application is."""
    return emulator.asking("alice", port, name="measured", address=WORKER)


def wait_for_routes(gateway, count):
    """Waits until the gateway serves them all; returns how long that took."""
    began = time.monotonic()
    until(lambda: metric(gateway, "portico_routes") == count, within=120, what=f"the gateway has {count} routes")
    return time.monotonic() - began


def metric(gateway, name, labels=""):
    """The value of a metric."""
    found = re.search(rf"^{name}(?:_total)?{re.escape(labels)} (\S+)$", gateway.metrics(), re.MULTILINE)
    return float(found[1]) if found else None


def log_in(gateway, login):
    """Fills in the form as a browser does; returns the session's cookie as `name=value`."""
    navigates = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    with httpx.Client(base_url=gateway.url, headers=navigates, trust_env=False, follow_redirects=True) as browser:
        page = browser.get("/_gateway/login")
        form = re.search(r'<form class="stack" method="post" action="([^"]*)"', page.text)
        fields = {name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)}
        fields |= {"user": login, "password": gateway.emulator.password(login)}
        browser.post(html.unescape(form[1]), data=fields, headers={"Origin": gateway.url})
        for name, value in browser.cookies.items():
            if "portico-session" in name:
                return f"{name}={value}"
    raise RuntimeError("the log-in gave no session")
