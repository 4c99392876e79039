"""WebSockets that are open and silent."""

import socket
import threading
from contextlib import closing

from world.namespace import WORKER, free_port

_ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"


class Sockets:
    """An application that accepts every WebSocket and says nothing."""

    def __init__(self, directory):
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.address = f"{WORKER}:{self.port}"
        self._listener = socket.create_server((WORKER, self.port), backlog=128)
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            head = _head(peer)
            if b"websocket" in head.lower():
                peer.sendall(_ACCEPTED)
                self._open.append(peer)
            else:
                # The gateway's question whether it knows its prefix.
                with closing(peer):
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def stop(self):
        """Closes all."""
        self._listener.close()
        for peer in self._open:
            peer.close()


def open_socket(url, path, cookie):
    """A WebSocket through a proxy, after its greeting."""
    host = url.split("//")[1]
    address, port = host.split(":")
    peer = socket.create_connection((address, int(port)), timeout=20)
    peer.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {url}\r\nCookie: {cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = _head(peer)
    if not head.startswith(b"HTTP/1.1 101"):
        raise RuntimeError(f"no WebSocket: {head.decode(errors='replace')}")
    return peer


def _head(peer):
    head = b""
    while b"\r\n\r\n" not in head:
        more = peer.recv(65536)
        if not more:
            break
        head += more
    return head
