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
# The SDK finds its own address by a route to this one (no packet is sent).
_SDK_PROBE = "8.8.8.8"


def enter():
    """Moves this process into the new namespace. Threads that exist already stay behind: call it first."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        why = os.strerror(ctypes.get_errno())
        pytest.exit(f"cannot make a network namespace ({why}): run the end-to-end tests as root", returncode=2)
    _ip("link set lo up")
    # A bridge, because not every kernel has the link type dummy.
    _ip("link add net0 type bridge")
    for address in (GATEWAY, WORKER):
        _ip(f"address add {address}/24 dev net0")
    _ip("link set net0 up")
    _ip(f"route add {_SDK_PROBE}/32 dev net0 src {WORKER}")
    _ip("route add unreachable default")


_last_port = 20000


def free_port():
    """A port that nothing else in this namespace uses."""
    global _last_port
    _last_port += 1
    return _last_port


def _ip(arguments):
    try:
        subprocess.run(["ip", *arguments.split()], check=True)
    except FileNotFoundError:
        pytest.exit("the program ip is missing: apt-get install iproute2", returncode=2)
