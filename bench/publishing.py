"""From a task that asks to its URL, and to the first byte through it."""

import random
import statistics
import time

import httpx
from world.namespace import WORKER
from world.streams import NAME, offered
from world.wait import until

from bench.peers import Application
from bench.stage import Stage, add_application, log_in, wait_for_routes


def measure(directory, arguments):
    """Tasks that ask one after the other, each at another moment of the gateway's rounds."""
    with Stage(directory) as stage:
        emulator = stage.emulator()
        application = stage.start(Application)
        gateway = stage.gateway(emulator)
        with httpx.Client(base_url=gateway.url, trust_env=False, headers={"Cookie": log_in(gateway, "alice")}) as visitor:
            asked = Asked(emulator, gateway, visitor, application.port)
            quiet = [asked.waits_for_url() for _ in range(arguments.tasks)]
            impatient = [asked.opens_at_once() for _ in range(arguments.tasks)]
            add_application(emulator, application.port)
            wait_for_routes(gateway, 1)
            busy = [asked.waits_for_url() for _ in range(arguments.tasks)]
    with Stage(directory / "streams") as stage:
        emulator = stage.emulator()
        application = stage.start(Application)
        stage.gateway(emulator, **offered(30200, 30299))
        ports = [waits_for_port(emulator, application.port) for _ in range(arguments.tasks)]
    rows = [
        _row("task asks → URL stands in the task", [url for url, _ in quiet]),
        _row("task asks → first byte through that URL", [byte for _, byte in quiet]),
        _row("task asks → URL, while other endpoints live", [url for url, _ in busy]),
        _row("task asks → first byte, while other endpoints live", [byte for _, byte in busy]),
        _row("task asks → first byte, its owner has opened the page already", impatient),
        _row("session gets its tag → its public address stands in it", ports),
    ]
    return {
        "title": f"From a task that asks to its visitors ({arguments.tasks} tasks each)",
        "columns": ["from → to", "median", "worst"],
        "rows": rows,
    }


class Asked:
    """Tasks that run for a while, ask, and end."""

    def __init__(self, emulator, gateway, visitor, port):
        self._emulator = emulator
        self._gateway = gateway
        self._visitor = visitor
        self._port = port

    def waits_for_url(self):
        """Seconds until the URL stands in the task, and until a visitor has the first byte through it."""
        task = self._running()
        began = self._asks(task)
        until(lambda: "endpoint" in self._emulator.runtime(task), within=30, what="the URL is published")
        published = time.monotonic() - began
        until(lambda: self._is_open(task), what="it can be opened")
        through = time.monotonic() - began
        self._emulator.end(task)
        return published, through

    def opens_at_once(self):
        """Seconds until a visitor has the first byte who knows the URL beforehand and keeps opening it."""
        task = self._running()
        began = self._asks(task)
        until(lambda: self._is_open(task), within=30, what="it can be opened")
        through = time.monotonic() - began
        self._emulator.end(task)
        return through

    def _running(self):
        task = self._emulator.control("task", user="alice", name="asks", status="in_progress", system_tags=["development"])["id"]
        # Wherever the gateway's rounds are.
        time.sleep(random.uniform(1.5, 7.0))
        return task

    def _asks(self, task):
        began = time.monotonic()
        runtime = {"_SERVICE": "EXTERNAL", "_ADDRESS": WORKER, "_PORT": self._port}
        tags = ["development", "external_service"]
        self._emulator.call("alice", "tasks.edit", task=task, runtime=runtime, system_tags=tags, force=True)
        return began

    def _is_open(self, task):
        with self._visitor.stream("GET", f"/service/{task}/kib", timeout=10) as answer:
            return answer.status_code == 200 and next(answer.iter_raw(1))


def waits_for_port(emulator, port):
    """Seconds from a session's tag until its public address stands in the task. Its client dials after 1.1 s at the earliest."""
    task = emulator.control("task", user="alice", name="session", status="in_progress", system_tags=["development"])["id"]
    # Wherever the gateway's rounds are.
    time.sleep(random.uniform(5.5, 7.5))
    runtime = {"_SERVICE": "EXTERNAL_TCP", "external_address": WORKER, "external_tcp_port": port}
    emulator.call("alice", "tasks.edit", task=task, runtime=runtime, force=True)
    began = time.monotonic()
    emulator.call("alice", "tasks.edit", task=task, system_tags=["development", "external_service"], force=True)
    until(lambda: emulator.runtime(task)["external_address"] == NAME, within=30, what="the address is published")
    published = time.monotonic() - began
    emulator.end(task)
    return published


def _row(name, seconds):
    return [name, f"{statistics.median(seconds):.2f} s", f"{max(seconds):.2f} s"]
