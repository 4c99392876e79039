"""Applications of our own, for what stock ones do not show: what arrives, and what hostile ones try."""

import asyncio
import json
import threading
from dataclasses import dataclass, field

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from .namespace import free_port


@dataclass
class Arrived:
    """A request as it came to an application."""

    method: str
    uri: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def everything(self):
        """All of it in one text, to be searched."""
        lines = [f"{self.method} {self.uri}", *(f"{name}: {value}" for name, value in self.headers), self.body.decode(errors="replace")]
        return "\n".join(lines)

    def header(self, name):
        """The values of a header."""
        return [value for given, value in self.headers if given.lower() == name.lower()]


@dataclass
class Running:
    """An application that listens on all addresses."""

    port: int
    server: HTTPServer
    arrived: list[Arrived] = field(default_factory=list)
    sockets: set = field(default_factory=set)

    def texts(self):
        """All that arrived."""
        return [request.everything() for request in self.arrived]


class Applications:
    """Runs applications in a thread of their own."""

    def __init__(self, _directory=None):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._all = []

    def start(self, routes, port=None, address="0.0.0.0"):
        """Starts one from tornado's routes; its handlers find it as `self.application.running`."""
        port = port or free_port()

        async def start():
            application = Application(routes)
            server = HTTPServer(application)
            server.listen(port, address)
            application.running = Running(port, server)
            return application.running

        running = self._do(start())
        self._all.append(running)
        return running

    def echo(self, **where):
        """Starts the one that shows what arrives."""
        return self.start([(r".*/socket", EchoSocket), (r".*/events", Events), (r".*", Echo)], **where)

    def end(self, running):
        """Ends one: nothing listens on its port afterwards."""
        self._all.remove(running)

        async def end():
            running.server.stop()
            await running.server.close_all_connections()

        self._do(end())

    def stop(self):
        """Ends all."""
        for running in list(self._all):
            self.end(running)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


class Noted(RequestHandler):
    """Notes each request before it is answered."""

    SUPPORTED_METHODS = (*RequestHandler.SUPPORTED_METHODS, "PROPFIND")

    def prepare(self):
        """Called by tornado for every method."""
        note(self)

    def options(self, *_):
        """Nothing is allowed to foreign origins."""
        self.set_status(204)


def note(handler):
    """Keeps what arrived."""
    request = handler.request
    arrived = Arrived(request.method, request.uri, list(request.headers.get_all()), request.body or b"")
    handler.application.running.arrived.append(arrived)


class Echo(Noted):
    """Answers with the request, as a page or as JSON."""

    def get(self):
        """Shows method, path, headers and body."""
        request = self.request
        told = {
            "echo": True,
            "method": request.method,
            "uri": request.uri,
            "headers": list(request.headers.get_all()),
            "body": (request.body or b"").decode(errors="replace"),
        }
        if "text/html" in request.headers.get("Accept", ""):
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.finish(f"<!doctype html><title>echo</title><h1>The echo</h1><pre id=told></pre><script>told.textContent = {_script(told)}</script>")
        else:
            self.finish(told)

    post = put = delete = patch = propfind = get

    def head(self):
        """As GET."""


class EchoSocket(WebSocketHandler):
    """First says what the handshake was, then what it is told."""

    def prepare(self):
        """Called by tornado before the handshake."""
        note(self)

    def check_origin(self, origin):
        """Of any origin: the gateway is the guard."""
        return True

    def select_subprotocol(self, subprotocols):
        """The first."""
        return subprotocols[0] if subprotocols else None

    def open(self):
        """The handshake's headers."""
        self.application.running.sockets.add(self)
        self.write_message(json.dumps(list(self.request.headers.get_all())))

    def on_message(self, message):
        """The same back."""
        self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self):
        """No longer open."""
        self.application.running.sockets.discard(self)


class Events(Noted):
    """Server-sent events: the request's headers, then numbers until the client leaves."""

    async def get(self):
        """Never ends by itself."""
        self.set_header("Content-Type", "text/event-stream")
        self.write(f"data: {json.dumps(list(self.request.headers.get_all()))}\n\n")
        await self.flush()
        number = 0
        while not self.request.connection.stream.closed():
            number += 1
            self.write(f"data: {number}\n\n")
            await self.flush()
            await asyncio.sleep(0.05)  # a clock, not a wait


class Page(Noted):
    """A page with fixed headers, cookies and text."""

    def initialize(self, text, headers=(), cookies=(), kind="text/html; charset=utf-8"):
        """What to answer with."""
        self._text, self._given, self._cookies, self._kind = text, headers, cookies, kind

    def get(self, *_):
        """Answers."""
        self.set_header("Content-Type", self._kind)
        for name, value in self._given:
            self.add_header(name, value)
        for cookie in self._cookies:
            self.add_header("Set-Cookie", cookie)
        self.finish(self._text)


def _script(value):
    """A value as text inside a script element."""
    return json.dumps(json.dumps(value, indent=1)).replace("<", "\\u003c")
