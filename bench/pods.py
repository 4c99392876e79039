"""Kubernetes: from a pod's address to its route, and what watching many pods costs, against a real API server."""

import random
import shutil
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
from world.gateway import Gateway
from world.namespace import GATEWAY, WORKER
from world.process import Process
from world.programs import PORTICO
from world.wait import until

from bench import load
from bench.api_server import ACCOUNT_TOKEN, NAME, NAMESPACE, ApiServer
from bench.memory import settled
from bench.stage import Stage, log_in, metric, wait_for_routes

# An agent's configuration in a pod, encoded; it stands there twice.
SECRET_BYTES = 12_000
CHANGES_A_MINUTE = 500
SECONDS = 120

# The place of an account is part of Kubernetes' contract, so the process gets a file system in which it is there.
_IN_A_POD = 'mount -t tmpfs none /run && mkdir -p "$1" && cp -r "$0"/. "$1" && shift && exec "$@"'
_ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"


class PodGateway(Gateway):
    """One `portico serve` that believes to be in a pod."""

    def __init__(self, directory, emulator, api, **env):
        account = directory / "account"
        account.mkdir(parents=True)
        shutil.copy(api.directory / "ca.crt", account)
        (account / "token").write_text(ACCOUNT_TOKEN)
        (account / "namespace").write_text(NAMESPACE)
        in_cluster = {
            "KUBERNETES_SERVICE_HOST": GATEWAY,
            "KUBERNETES_SERVICE_PORT": str(api.port),
            "POD_NAME": f"{NAME}-0",
            "PORTICO__DISCOVERY__KIND": "kubernetes",
            "PORTICO__DISCOVERY__KUBERNETES__LEASE": NAME,
            "PORTICO__STATE__KIND": "kubernetes",
            "PORTICO__STATE__KUBERNETES__SECRET": NAME,
            "PORTICO__CONTROL__SOCKET": str(directory / "control.sock"),
            "PORTICO__HTTP__THREADS": "1",
        }
        super().__init__(directory, emulator, **(in_cluster | env))

    def start(self):
        """Starts it with an account where a pod has one."""
        argv = ["unshare", "--mount", "sh", "-c", _IN_A_POD, self.directory / "account", _ACCOUNT, PORTICO, "serve"]
        self.process = Process(f"portico-{self.port}", argv, self.directory, env=self.env)
        until(self.is_ready, within=60, what="the gateway is ready")


def measure(directory, arguments):
    """Many pods, then changes, then single pods that come."""
    with Stage(directory) as stage:
        with load.on_core(load.OTHER_CORE):
            api = stage.start(ApiServer)
        api.install()
        emulator = stage.emulator()
        tasks = [_ask(emulator, number) for number in range(arguments.pods)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: _run(api, tasks[number], number), range(len(tasks))))
        with load.on_core(load.PROXY_CORE):
            # What it publishes is another measurement's.
            gateway = stage.start(PodGateway, emulator, api, PORTICO__LOG__ACCESS_LOG="off", PORTICO__PUBLISH="never")
        took = wait_for_routes(gateway, len(tasks))
        pids = [gateway.process.pid]
        resident = settled(pids)
        quiet = _cpu(pids, 30)
        changes = Changes(api, tasks)
        busy = changes.during(lambda: _cpu(pids, SECONDS))
        after = settled(pids)
        times = _times(api, emulator, gateway, arguments.tasks)
        rows = [
            ["all routed, from ready", f"{took:.1f} s"],
            ["memory", f"{resident / 1024:.1f} MiB"],
            ["memory after the changes", f"{after / 1024:.1f} MiB"],
            ["the most memory", f"{load.most_kib(pids) / 1024:.1f} MiB"],
            ["CPU without changes", f"{quiet:.1%} of a core"],
            [f"CPU with {changes.count / SECONDS * 60:.0f} changes a minute", f"{busy:.1%} of a core"],
            ["pod has its address → its route is used, median", f"{statistics.median(times) * 1000:.0f} ms"],
            ["pod has its address → its route is used, worst", f"{max(times) * 1000:.0f} ms"],
        ]
    return {"title": f"{len(tasks)} pods", "columns": ["what", "figure"], "rows": rows, "times": times}


def _ask(emulator, number):
    runtime = {"_SERVICE": "EXTERNAL", "_ADDRESS": _address(number), "_PORT": 8888}
    tags = ["development", "external_service"]
    return emulator.control("task", user="alice", name=f"task {number}", status="in_progress", runtime=runtime, system_tags=tags)["id"]


def _address(number, generation=0):
    return f"10.{generation % 200}.{number // 200}.{10 + number % 200}"


def _run(api, task, number):
    api.make_pod(task, SECRET_BYTES)
    api.give_status(task, _address(number))


def _cpu(pids, seconds):
    before, began = load.cpu_seconds(pids), time.monotonic()
    time.sleep(seconds)
    return (load.cpu_seconds(pids) - before) / (time.monotonic() - began)


class Changes:
    """Pods that change: one of three gets another address, one grows unready or ready, one is replaced."""

    def __init__(self, api, tasks):
        self._api = api
        self._tasks = tasks
        self._stop = threading.Event()
        self.count = 0

    def during(self, work):
        """What `work` returns, while pods change."""
        changing = threading.Thread(target=self._run)
        changing.start()
        self.count, before = 0, self.count
        try:
            return work()
        finally:
            self.count += before
            self._stop.set()
            changing.join()

    def _run(self):
        pick = random.Random(4711)
        began = time.monotonic()
        made = 0
        while not self._stop.is_set():
            number = pick.randrange(len(self._tasks))
            task = self._tasks[number]
            made += 1
            if made % 3 == 0:
                self._api.remove_pod(task)
                self._api.make_pod(task, SECRET_BYTES)
            self._api.give_status(task, _address(number, made // 3), is_ready=made % 3 != 1)
            self.count += 1
            self._stop.wait(max(0.0, began + made * 60 / CHANGES_A_MINUTE - time.monotonic()))


def _times(api, emulator, gateway, count):
    """Seconds from the write of a pod's address to the answer of a visitor who waits at the door."""
    headers = {"Cookie": log_in(gateway, "alice"), "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}
    times = []
    with httpx.Client(base_url=gateway.url, trust_env=False, headers=headers, timeout=20) as visitor, ThreadPoolExecutor(1) as waiting:
        for _ in range(count):
            runtime = {"_SERVICE": "EXTERNAL", "_ADDRESS": WORKER, "_PORT": 9}
            tags = ["development", "external_service"]
            task = emulator.control("task", user="alice", name="single", status="in_progress", runtime=runtime, system_tags=tags)["id"]
            api.make_pod(task, SECRET_BYTES)
            # The task is read before its pod runs, as with a real agent's pod that runs before its task asks, the other way round.
            time.sleep(2.5)
            asking = waiting.submit(lambda task=task: (visitor.get(f"/service/{task}/"), time.monotonic()))
            time.sleep(0.3)
            began = time.monotonic()
            api.give_status(task, WORKER)
            answer, at = asking.result()
            # Its port is closed: there is a route, and it was dialed.
            assert "starting" in answer.text or answer.status_code == 503, answer.text
            times.append(at - began)
            routes = metric(gateway, "portico_routes")
            emulator.control("status", task=task, status="completed")
            api.remove_pod(task)
            until(lambda routes=routes: metric(gateway, "portico_routes") < routes, within=20, what="the pod is seen leaving")
    return times
