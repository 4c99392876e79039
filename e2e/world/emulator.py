"""The emulated ClearML server."""

import json

import httpx

from .namespace import GATEWAY, WORKER, free_port
from .process import Process, clean_env
from .programs import EMULATOR
from .wait import until


class Emulator:
    """One ClearML server with its actors. Tests speak to it as clients of ClearML do (`call`), or by its controls."""

    def __init__(self, directory, feature_set="advanced"):
        self.directory = directory
        self.feature_set = feature_set
        self.port = free_port()
        self.url = f"http://{GATEWAY}:{self.port}"
        # On all addresses, so that a browser may know it by the gateway's host name or as localhost: cookies ignore ports.
        self.process = Process(
            f"emulator-{self.port}",
            [EMULATOR, "--listen", f"0.0.0.0:{self.port}", "--feature-set", feature_set, "--control"],
            directory,
            env=clean_env(),
        )
        until(lambda: self.process.must_run() and "\n" in self.process.stdout(), what="the emulator says that it listens")
        ready = json.loads(self.process.stdout().splitlines()[0])
        self.actors = {actor["login"]: actor for actor in ready["actors"]}
        # Something always runs on a real server; where nothing does, a gateway looks only every five seconds.
        self.control("task", user="bob", name="asks for nothing", status="in_progress")

    def key(self, login):
        """The actor's API key: access key and secret key."""
        key = self.actors[login]["key"]
        return key["access_key"], key["secret_key"]

    def password(self, login):
        """The actor's password."""
        return self.actors[login]["password"]

    def call(self, login, action, **arguments):
        """One call of the ClearML API as that actor; returns its data."""
        answer = httpx.post(f"{self.url}/{action}", json=arguments, auth=self.key(login), trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def control(self, action, **arguments):
        """One of the emulator's own controls."""
        url = f"{self.url}/_emulator/{action}"
        answer = httpx.post(url, json=arguments, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask(self, what, **query):
        """What one of the controls says."""
        answer = httpx.get(f"{self.url}/_emulator/{what}", params=query, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def task(self, task):
        """The task as it is stored."""
        return self.ask("task", id=task)["task"]

    def runtime(self, task):
        """The task's runtime keys."""
        return self.task(task).get("runtime", {})

    def properties(self, task):
        """The task's user properties by name."""
        found = self.task(task).get("hyperparams", {}).get("properties", {})
        return {name: entry["value"] for name, entry in found.items()}

    def asking(self, user, port, name="asks", address=WORKER, **more):
        """A running task that asks for an HTTP endpoint as the SDK writes it; returns its id."""
        runtime = {"_SERVICE": "EXTERNAL", "_ADDRESS": address, "_PORT": port}
        request = {
            "user": user,
            "name": name,
            "status": "in_progress",
            "runtime": runtime,
            "system_tags": ["development", "external_service"],
        } | more
        return self.control("task", **request)["id"]

    def report_as_agent(self, task):
        """What an agent on the worker's machine does: from there the server knows the address of the task's worker."""
        transport = httpx.HTTPTransport(local_address=WORKER)
        with httpx.Client(transport=transport, auth=self.key("alice"), base_url=self.url) as agent:
            for action, more in (("register", {}), ("status_report", {"task": task, "timestamp": 0})):
                answer = agent.post(f"/workers.{action}", json={"worker": "machine:0", **more})
                assert answer.status_code == 200, answer.text

    def end(self, task, status="stopped"):
        """Ends a task."""
        self.control("status", task=task, status=status)

    def unknown_calls(self):
        """Calls that the emulator does not know."""
        return self.ask("unknown_calls")["unknown_calls"]

    def go_away(self):
        """From now on nobody gets an answer."""
        self.control("faults", unreachable=True)

    def come_back(self):
        """All is well again."""
        self.control("faults")

    def advance(self, days):
        """Moves the server's clock."""
        self.control("clock", advance_sec=int(days * 86400))

    def stop(self):
        """Ends the process."""
        self.process.stop()
