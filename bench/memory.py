"""The memory of the gateway's process: with no routes, with many, under load, and for each idle WebSocket."""

import time
from contextlib import ExitStack, closing

from bench import idle, load
from bench.peers import SESSION, Application, Peer
from bench.stage import Stage, add_application, add_tasks, log_in, wait_for_routes

# Below the limit for one address.
SOCKETS = 900
# Still for this long means settled.
_STILL = 3.0


def measure(directory, arguments):
    """A gateway with nothing to do, and the same again with its tasks."""
    rows = []
    with Stage(directory) as stage:
        emulator = stage.emulator()
        # What it publishes is another measurement's.
        gateway = stage.gateway(emulator, PORTICO__LOG__ACCESS_LOG="off", PORTICO__PUBLISH="never")
        rows.append(["no routes", _mib(settled([gateway.process.pid]))])
        gateway.stop()
        application = stage.start(Application)
        sockets = stage.start(idle.Sockets)
        others = add_tasks(emulator, arguments.routes - 2)
        task = add_application(emulator, application.port)
        silent = add_application(emulator, sockets.port)
        gateway.start()
        took = wait_for_routes(gateway, arguments.routes)
        pids = [gateway.process.pid]
        rows.append([f"{arguments.routes} routes", _mib(settled(pids))])
        rows.append(["the most until then", _mib(load.most_kib(pids))])
        rows.append(["until all are routed, from ready", f"{took:.1f} s"])
        rows.append(["CPU for watching them, while nobody visits", _watching(pids)])
        session = log_in(gateway, "alice")
        load.run(f"{gateway.url}/service/{task}/kib", {"Cookie": session}, pids, arguments.seconds * 3)
        rows.append(["the same after a round of load, 64 connections", _mib(settled(pids))])
        # Anew, because what the load took and gave back would be used again.
        gateway.restart()
        wait_for_routes(gateway, arguments.routes)
        ours = _sockets(gateway.url, f"/service/{silent}/ws", session, [gateway.process.pid])
        nginx = stage.start(Peer, sockets.address, silent, others)
        theirs = _sockets(nginx.url, f"/service/{silent}/ws", f"session={SESSION}", nginx.pids())
        told = f"{ours:.1f} KiB; nginx {theirs:.1f} KiB; ratio {ours / theirs:.2f}"
        rows.append([f"each of {SOCKETS} idle WebSockets", told])
    return {"title": "Memory (resident)", "columns": ["what", "figure"], "rows": rows}


def _sockets(url, path, cookie, pids):
    with closing(idle.open_socket(url, path, cookie)), ExitStack() as opened:
        before = settled(pids)
        for _ in range(SOCKETS):
            opened.enter_context(closing(idle.open_socket(url, path, cookie)))
        return (load.resident_kib(pids) - before) / SOCKETS


def settled(pids):
    """The memory in use once it changes no longer, in KiB."""
    last, since = load.resident_kib(pids), time.monotonic()
    while time.monotonic() - since < _STILL:
        time.sleep(0.1)
        now = load.resident_kib(pids)
        if abs(now - last) > 256:
            last, since = now, time.monotonic()
    return last


def _watching(pids, seconds=10):
    before = load.cpu_seconds(pids)
    time.sleep(seconds)
    return f"{(load.cpu_seconds(pids) - before) / seconds:.1%} of a core"


def _mib(kib):
    return f"{kib / 1024:.1f} MiB"
