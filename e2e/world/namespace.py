"""A network namespace of its own, without a way out, for the tests' process and all that it starts.

Portico never dials loopback addresses that tasks claim, so the tasks need a machine with an address: 198.18.0.0/24 is set
apart for tests by RFC 2544. Whatever dials anything else fails at once, so no test depends on the world outside.
"""

import ctypes
import os
import subprocess

import pytest

# The machine that the gateway runs on, and the one that the tasks run on.
GATEWAY = "198.18.0.1"
WORKER = "198.18.0.7"
NETWORK = "198.18.0.0/24"

_CLONE_NEWNET = 0x40000000
# The SDK and clearml-session find their machine's own address by a route to these (no packet is sent).
_PROBES = ("8.8.8.8", "8.255.255.255")


def enter():
    """Moves this process into the new namespace. Threads that exist already stay behind: call it first."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        why = os.strerror(ctypes.get_errno())
        pytest.exit(f"cannot make a network namespace ({why}): run the end-to-end tests as root", returncode=2)
    ip("link set lo up")
    # A bridge, because not every kernel has the link type dummy.
    ip("link add net0 type bridge")
    for address in (GATEWAY, WORKER):
        ip(f"address add {address}/24 dev net0")
    ip("link set net0 up")
    for probe in _PROBES:
        ip(f"route add {probe}/32 dev net0 src {WORKER}")
    ip("route add unreachable default")


_last_port = 20000


def free_port():
    """A port that nothing else in this namespace uses."""
    global _last_port
    _last_port += 1
    return _last_port


def ip(arguments):
    """One command of the program ip."""
    try:
        subprocess.run(["ip", *arguments.split()], check=True)
    except FileNotFoundError:
        pytest.exit("the program ip is missing: apt-get install iproute2", returncode=2)
