"""The application behind streams: what it does is said by the first byte that it gets.

`d` sends without end, `e` echoes. Whoever says nothing is kept and costs nothing.
"""

import resource
import selectors
import socket
import sys
import threading

BLOCK = 1024 * 1024


def main():
    """Serves the address that the arguments say."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=1024)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                peer, _ = listener.accept()
                selector.register(peer, selectors.EVENT_READ)
                continue
            peer = key.fileobj
            selector.unregister(peer)
            threading.Thread(target=speak, args=(peer,), daemon=True).start()


def speak(peer):
    """Talks to one visitor, to the end."""
    with peer:
        try:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            first = peer.recv(1)
            if first == b"d":
                block = bytes(BLOCK)
                while True:
                    peer.sendall(block)
            while first == b"e" and (some := peer.recv(65536)):
                peer.sendall(some)
        except OSError:
            return


if __name__ == "__main__":
    main()
