"""What comes and goes through a TCP endpoint leaves nothing behind in the gateway's process."""

import asyncio
import contextlib
import errno
import os
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from world.namespace import GATEWAY, WORKER, free_port
from world.streams import offered, public_port
from world.wait import until

VISITORS = 10_000
AT_ONCE = 100


def held(pid):
    """The descriptors and threads of a process, by kind. Pipes are kept for the next bulk, and given back when it is silent."""
    kinds = [os.readlink(path).split(":")[0] for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
    sockets, threads = kinds.count("socket"), len(list(Path(f"/proc/{pid}/task").iterdir()))
    return {"sockets": sockets, "others": len(kinds) - sockets, "threads": threads}


def is_silent(gateway):
    """Whether the gateway says that no stream is open."""
    return float(re.search(r"^portico_stream_connections (\S+)", gateway.metrics(), re.MULTILINE)[1]) == 0


def is_refused(port):
    """Whether nobody listens there."""
    with socket.socket() as visitor:
        return visitor.connect_ex((GATEWAY, port)) == errno.ECONNREFUSED


async def visit(port, number):
    """Comes, mostly says something, and goes in order or in the middle of it."""
    reader, writer = await asyncio.open_connection(GATEWAY, port)
    if number % 4:
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
    if number % 2:
        writer.close()
        await writer.wait_closed()
    else:
        writer.transport.abort()


async def crowd(worker_port, port, count):
    """Many visitors, some of them at once, and the application that they come to; ends when it has seen all of them go."""
    heard = set()

    async def echo(reader, writer):
        heard.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            while said := await reader.read(1024):
                writer.write(said)
        writer.close()

    room = asyncio.Semaphore(AT_ONCE)

    async def one(number):
        async with room:
            await visit(port, number)

    async with await asyncio.start_server(echo, WORKER, worker_port):
        await asyncio.gather(*(one(number) for number in range(count)))
        await asyncio.wait_for(asyncio.gather(*heard), timeout=30)


def send(worker_port, port, count):
    """Sends a crowd, and waits until all have gone."""
    # In a thread of its own: the browser's driver keeps an event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(crowd(worker_port, port, count))).result()


@pytest.fixture
def gateway(place):
    """One that offers TCP endpoints."""
    return place.gateway(place.emulator(), **offered(30200, 30209))


def test_ten_thousand_visitors_leave_no_descriptor_port_or_stream_behind(gateway):
    worker_port = free_port()
    runtime = {"_SERVICE": "EXTERNAL_TCP", "external_address": WORKER, "external_tcp_port": worker_port}
    task = gateway.emulator.asking("alice", worker_port, runtime=runtime)
    port = public_port(gateway, task)
    pid = gateway.process.pid
    # What is made at the first use stays: allocations of the runtime, a connection to ClearML.
    send(worker_port, port, AT_ONCE)
    until(lambda: is_silent(gateway), what="the first streams are over")
    before = held(pid)
    send(worker_port, port, VISITORS)
    until(lambda: is_silent(gateway), what="all streams are over")
    # A poll of ClearML's may just be open, so a socket more or less says nothing; ten thousand would. Threads end, and pipes are given
    # back, when they have been idle for a while.
    room = {"sockets": 2, "threads": 1, "others": 16}

    def is_as_before():
        after = held(pid)
        assert all(after[kind] <= before[kind] + more for kind, more in room.items()), (before, after)
        return True

    until(is_as_before, what="nothing is left behind")
    gateway.emulator.end(task)

    until(lambda: is_refused(port), what="the port is closed with its task")
