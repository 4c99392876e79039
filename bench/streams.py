"""TCP streams, beside nginx's stream module: bulk, small messages, a keystroke, and what a silent session takes."""

import socket
import statistics
import sys
import time
from contextlib import ExitStack, closing

from world.namespace import GATEWAY, WORKER, free_port
from world.process import Process, clean_env
from world.wait import until

from bench import load
from bench.load import OTHER_CORE, on_core
from bench.machine import ROOT
from bench.memory import settled
from bench.peers import Nginx
from bench.speaker import BLOCK
from bench.stage import Stage

IDLE = 5000
# Messages under way at once, each on a connection of its own.
TALKERS = 16
KEYSTROKES = 2000
_PORTS = 30000

_NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 20000; }}
stream {{
    server {{
        listen {address}:{port} so_keepalive=30s:30s:3 backlog=1024;
        proxy_pass {upstream};
        proxy_timeout 24h;
        proxy_connect_timeout 3s;
        proxy_socket_keepalive on;
    }}
}}
"""


class Speaker:
    """The application, away from the proxy's core."""

    def __init__(self, directory):
        self.port = free_port()
        with on_core(OTHER_CORE):
            argv = [sys.executable, ROOT / "bench" / "speaker.py", WORKER, self.port]
            self.process = Process("speaker", argv, directory, env=clean_env())
        until(lambda: _answers((WORKER, self.port)), what="the application answers")

    def stop(self):
        """Ends it."""
        self.process.kill()


class StreamPeer(Nginx):
    """nginx with the one endpoint."""

    frame = _NGINX

    def __init__(self, directory, upstream):
        self.place = (GATEWAY, free_port())
        super().__init__("nginx", directory, load.PROXY_CORE, "", self.place[1], GATEWAY, upstream=upstream)

    def _answers(self):
        self.process.must_run()
        return _answers(self.place)


def measure(directory, arguments):
    """All of it, in turns."""
    with Stage(directory) as stage:
        emulator = stage.emulator()
        speaker = stage.start(Speaker)
        task = emulator.asking("alice", speaker.port, name="measured", runtime=_runtime(speaker.port))
        emulator.report_as_agent(task)
        gateway = stage.gateway(
            emulator,
            PORTICO__LOG__ACCESS_LOG="off",
            ROUTER__STREAM__EXTERNAL_URL=GATEWAY,
            ROUTER__STREAM__PORT_RANGE__START=_PORTS,
            ROUTER__STREAM__PORT_RANGE__END=_PORTS + 9,
            PORTICO__STREAMS__CONNECTIONS_PER_ADDRESS=2 * IDLE,
        )
        port = until(lambda: _published(emulator, task), what="the task has a port")
        nginx = stage.start(StreamPeer, f"{WORKER}:{speaker.port}")
        proxies = [((GATEWAY, port), [gateway.process.pid]), (nginx.place, nginx.pids())]
        for place, _ in proxies:
            until(lambda place=place: _answers(place), what=f"{place} answers")
        rows, rounds = [], {}
        with on_core(OTHER_CORE):
            # In front: what load takes and gives back would be used again.
            rows.append(_idle(proxies))
            for name, take, figure, unit, column in KINDS:
                if arguments.only and arguments.only not in name:
                    continue
                rounds[name] = taken = _in_turns(proxies, take, figure, unit, arguments)
                rows.append([name, f"{load.ratio(*taken, figure):.2f}", *(column(load.medians(one)) for one in taken)])
            if not arguments.only:
                rows.append(_keystrokes(proxies, (WORKER, speaker.port), arguments, rounds))
    return {"title": "TCP beside nginx", "columns": ["what", "ratio", "Portico", "nginx"], "rows": rows, "rounds": rounds}


def _runtime(port):
    # As the SDK writes it. What it asks by is overwritten with what is published.
    return {"_SERVICE": "EXTERNAL_TCP", "external_address": WORKER, "external_tcp_port": port}


def _published(emulator, task):
    port = int(emulator.runtime(task)["external_tcp_port"])
    return port if port >= _PORTS else None


def _in_turns(proxies, take, figure, unit, arguments):
    taken = [[], []]
    for number in range(arguments.pairs + 1):
        for rounds, (place, pids) in zip(taken, proxies, strict=True):
            # The first round warms up.
            one = take(place, pids, arguments.seconds if number else 1)
            if number:
                rounds.append(one)
        if number:
            print("    " + "  ".join(f"{rounds[-1][figure]:.2f} {unit}" for rounds in taken), flush=True)
    return taken


def _bulk(place, pids, seconds):
    """One connection that is sent as much as it takes."""
    buffer, count = bytearray(BLOCK), 0
    with closing(_connect(place)) as peer:
        peer.sendall(b"d")
        peer.recv_into(buffer)
        before, began = load.cpu_seconds(pids), time.monotonic()
        while time.monotonic() - began < seconds:
            count += peer.recv_into(buffer)
        used, took = load.cpu_seconds(pids) - before, time.monotonic() - began
    return {"cpu_seconds_per_gib": used / count * 2**30, "gib_per_second": count / 2**30 / took, "cores_used": used / took}


def _messages(place, pids, seconds):
    """Some visitors, each of whom sends 64 bytes and waits until they are back."""
    message, count = b"x" * 64, 0
    with ExitStack() as opened:
        peers = [opened.enter_context(closing(_connect(place))) for _ in range(TALKERS)]
        for peer in peers:
            peer.sendall(b"e")
        before, began = load.cpu_seconds(pids), time.monotonic()
        while time.monotonic() - began < seconds:
            for peer in peers:
                peer.sendall(message)
            for peer in peers:
                _receive(peer, len(message))
            count += 2 * len(peers)
        used, took = load.cpu_seconds(pids) - before, time.monotonic() - began
    return {"cpu_microseconds_per_message": used / count * 1e6, "messages_per_second": count / took, "cores_used": used / took}


KINDS = [
    (
        "bulk, one connection, CPU per GiB",
        _bulk,
        "cpu_seconds_per_gib",
        "s/GiB",
        lambda one: f"{one['cpu_seconds_per_gib']:.3f} s/GiB, {one['gib_per_second']:.2f} GiB/s",
    ),
    (
        f"messages of 64 bytes, {TALKERS} connections, CPU per message",
        _messages,
        "cpu_microseconds_per_message",
        "µs",
        lambda one: f"{one['cpu_microseconds_per_message']:.1f} µs, {one['messages_per_second']:.0f}/s",
    ),
]


def _keystrokes(proxies, direct, arguments, rounds):
    """What a proxy adds to the time until one byte is back."""
    taken = [[], []]
    for _ in range(arguments.pairs):
        without = _keystroke(direct)
        for added, (place, _) in zip(taken, proxies, strict=True):
            added.append({"added_microseconds": (_keystroke(place) - without) * 1e6})
    name = "a keystroke, time added until it is back"
    rounds[name] = taken
    told = (f"{load.medians(one)['added_microseconds']:.0f} µs" for one in taken)
    return [name, f"{load.ratio(*taken, 'added_microseconds'):.2f}", *told]


def _keystroke(place):
    with closing(_connect(place)) as peer:
        peer.sendall(b"e")
        times = []
        for _ in range(KEYSTROKES):
            began = time.perf_counter()
            peer.sendall(b"x")
            _receive(peer, 1)
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def _idle(proxies):
    told = []
    for place, pids in proxies:
        with closing(_connect(place)), ExitStack() as opened:
            before = settled(pids)
            for number in range(IDLE):
                opened.enter_context(closing(_connect(place)))
                # So that they do not come faster than they are led to the application.
                assert number % 32 or _answers(place)
            told.append((settled(pids) - before) / IDLE)
    ours, theirs = told
    return [f"memory of each of {IDLE} silent sessions", f"{ours / theirs:.2f}", f"{ours:.2f} KiB", f"{theirs:.2f} KiB"]


def _connect(place):
    peer = socket.create_connection(place, timeout=20)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


def _receive(peer, count):
    while count:
        some = peer.recv(count)
        if not some:
            raise RuntimeError("the connection ended")
        count -= len(some)


def _answers(place):
    with closing(_connect(place)) as peer:
        peer.sendall(b"e?")
        return peer.recv(1) == b"?"
