"""Fixtures of the end-to-end tests. The first thing that happens is the move into a network of their own."""

# ruff: noqa: E402, F401
from world import namespace

namespace.enter()

import pytest

from world.agent import Agent
from world.applications import Applications
from world.browser import Browser
from world.databases import Postgres, Redis
from world.emulator import Emulator
from world.gateway import Gateway
from world.jupyter import Jupyter
from world.laptop import Laptop
from world.nginx import Nginx
from world.reports import pytest_runtest_makereport
from world.session import Session
from world.tasks import SdkTask


@pytest.fixture(scope="session")
def chromium():
    """The one Chromium."""
    browser = Browser()
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium):
    """Makes visitors; they are gone after the test."""
    yield chromium
    chromium.dismiss()


class Place:
    """A directory and everything that runs in it; ended in the reverse order."""

    def __init__(self, directory):
        self.directory = directory
        self._running = []
        self._count = 0

    def _start(self, kind, *given, **options):
        self._count += 1
        directory = self.directory / f"{self._count}-{kind.__name__.lower()}"
        started = kind(directory, *given, **options)
        self._running.append(started)
        return started

    def emulator(self, **options):
        """Starts a ClearML server."""
        return self._start(Emulator, **options)

    def gateway(self, emulator, **options):
        """Starts a gateway for it."""
        return self._start(Gateway, emulator, **options)

    def jupyter(self, task, port):
        """Starts JupyterLab; it answers later (`wait`)."""
        return self._start(Jupyter, task, port)

    def sdk_task(self, emulator, **options):
        """Starts a task."""
        self._count += 1
        return self.keep(SdkTask(emulator, self.directory / f"{self._count}-task", **options))

    def applications(self):
        """Starts applications of our own."""
        return self._start(Applications)

    def nginx(self, servers):
        """Starts an nginx."""
        return self._start(Nginx, servers)

    def laptop(self):
        """Switches on a user's machine."""
        return self._start(Laptop)

    def agent(self, emulator, **options):
        """Starts an agent; it listens later (`is_listening`)."""
        return self._start(Agent, emulator, **options)

    def session(self, laptop, emulator, command):
        """Starts a client of an interactive session."""
        return self._start(Session, laptop, emulator, command)

    def postgres(self):
        """Starts a PostgreSQL."""
        return self._start(Postgres)

    def redis(self):
        """Starts a Redis."""
        return self._start(Redis)

    def keep(self, thing):
        """Stops it, too, in the end."""
        self._running.append(thing)
        return thing

    def end(self):
        """Ends everything; what the first stop has to say is said after all have ended."""
        errors = []
        for started in reversed(self._running):
            try:
                started.stop()
            except Exception as error:  # the others must end, too
                errors.append(error)
        if errors:
            raise errors[0]


@pytest.fixture
def place(tmp_path):
    """A place of the test's own."""
    place = Place(tmp_path)
    yield place
    place.end()


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory):
    """A place that the tests of one file share."""
    place = Place(tmp_path_factory.mktemp("shared"))
    yield place
    place.end()
