"""The gateway: the real binary, set up by environment variables as an operator would."""

import json
import re
import subprocess

import httpx

from .namespace import GATEWAY, NETWORK, free_port
from .process import Process, clean_env
from .programs import PORTICO
from .wait import until

# Put into query strings and bodies that carry secrets, so that a log which has it is found out.
MARKER = "marker-that-no-log-may-hold"

# What no log may hold, whoever sent it: tokens of ClearML, our own sealed cookies, passwords and secrets of the emulator.
_SECRETS = re.compile(
    r"eyJ[\w-]{10,}\.[\w-]{10,}\.|=v1\.[\w.-]{20,}|secret-of-the-emulator|\b(?:alice|bob|carol)-pw\b|emulator-token-secret|" + MARKER
)


class Gateway:
    """One `portico serve`. It can be stopped and started again with the state that it had."""

    def __init__(self, directory, emulator, access="visible", host=GATEWAY, url=None, console_url=None, key="admin", **env):
        self.directory = directory
        self.emulator = emulator
        self.port = free_port()
        self.console_port = free_port()
        self.operations_port = free_port()
        # As visitors write it, and as programs without a resolver of their own reach it.
        self.url = url or f"http://{host}:{self.port}"
        self.address = f"http://{GATEWAY}:{self.port}"
        self.console_url = console_url and console_url.replace("{port}", str(self.console_port))
        access_key, secret_key = emulator.key(key)
        self.env = clean_env(
            ROUTER_NAME="e2e",
            ROUTER_URL=self.url,
            ROUTER__WEBSERVER__SERVER_PORT=self.port,
            CLEARML_API_HOST=emulator.url,
            CLEARML_API_ACCESS_KEY=access_key,
            CLEARML_API_SECRET_KEY=secret_key,
            AUTH_COOKIE_NAME="clearml_token_basic",
            ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE="false" if self.url.startswith("http:") else None,
            PORTICO__ACCESS__DEFAULT=access,
            PORTICO__DISCOVERY__NETWORKS=NETWORK,
            PORTICO__CONSOLE__URL=self.console_url,
            PORTICO__CONSOLE__LISTEN=f"0.0.0.0:{self.console_port}" if console_url else None,
            PORTICO__OPERATIONS__LISTEN=f"{GATEWAY}:{self.operations_port}",
            PORTICO__STATE__PATH=directory / "state" / "state.db",
            **({"LISTEN_QUEUE_NAME": ""} | env),
        )
        (directory / "state").mkdir(parents=True, exist_ok=True)
        self.process = None
        self._starts = 0
        self.start()

    def start(self):
        """Starts it, and waits until it is ready. Its log goes on in the same files."""
        self._starts += 1
        self.process = Process(f"portico-{self.port}", [PORTICO, "serve"], self.directory, env=self.env)
        until(self.is_ready, what="the gateway is ready")

    def is_ready(self):
        """Whether `/readyz` says so."""
        self.process.must_run()
        try:
            return httpx.get(f"http://{GATEWAY}:{self.operations_port}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self):
        """Ends it as an operator does, and looks through what it wrote."""
        self.process.stop(within=45)
        assert_no_secrets(self.process)

    def restart(self):
        """Ends it and starts it again on the same ports."""
        self.stop()
        self.start()

    def prefix(self, task, slug=None):
        """The path of an endpoint."""
        return f"/service/{task}__{slug}/" if slug else f"/service/{task}/"

    def link(self, task, slug=None):
        """The URL of an endpoint."""
        return self.url + self.prefix(task, slug)

    def client(self, **options):
        """A program that speaks to this gateway: by its address, with its name as the host. Follows no redirects."""
        headers = {"Host": self.url.split("//")[1], **options.pop("headers", {})}
        return httpx.Client(base_url=self.address, headers=headers, trust_env=False, timeout=20, **options)

    def run(self, *arguments, status=0):
        """What one of the binary's commands says, started with the gateway's environment."""
        done = subprocess.run([PORTICO, *arguments], env=self.env, capture_output=True, text=True, timeout=20, check=False)
        assert status is None or done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def published(self, task, suffix="", within=30):
        """Waits until the endpoint's URL stands in the task; returns it."""

        def endpoint():
            self.process.must_run()
            return self.emulator.runtime(task).get(f"endpoint{suffix}")

        return until(endpoint, within, what=f"the URL of endpoint{suffix} is published")

    def metrics(self):
        """What `/metrics` says."""
        return httpx.get(f"http://{GATEWAY}:{self.operations_port}/metrics", trust_env=False).text

    def log(self):
        """The lines of JSON that it wrote so far: log, access log, audit events."""
        lines = []
        for line in self.process.output().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
        return lines


def assert_no_secrets(process):
    """No credential, cookie or query string of the whole run stands in what the process wrote."""
    for line in process.output().splitlines():
        found = _SECRETS.search(line)
        assert not found, f"{process.name} wrote {found.group()!r} into its log: {line}"
