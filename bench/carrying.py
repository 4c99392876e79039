"""Portico beside nginx, doing the same work: one thread and one worker on the same core, in turns."""

import httpx
from world.wait import until

from bench import load
from bench.peers import SESSION, Application, Peer
from bench.stage import Stage, add_application, add_tasks, log_in, metric, wait_for_routes

# Name, path, connections, further headers, whether both write an access log.
LOADS = [
    ("1 KiB, keep-alive, 64 connections", "kib", 64, {}, False),
    ("the same, both with an access log", "kib", 64, {}, True),
    ("1 KiB, a new connection for each request", "kib", 64, {"Connection": "close"}, False),
    ("1 MiB bodies, 16 connections", "mib", 16, {}, False),
]


def measure(directory, arguments):
    """All kinds of load."""
    with Stage(directory) as stage:
        emulator = stage.emulator()
        application = stage.start(Application)
        others = add_tasks(emulator, arguments.routes - 1)
        task = add_application(emulator, application.port)
        table, rounds = [], {}
        for logged in (False, True):
            chosen = [one for one in LOADS if one[4] == logged and (not arguments.only or arguments.only in one[0])]
            if not chosen:
                continue
            pair = Pair(stage, emulator, application, others, task, logged)
            for name, path, connections, headers, _ in chosen:
                rounds[name] = taken = pair.take(path, connections, headers, arguments)
                table.append(_row(name, *taken))
            pair.stop()
    return {"title": "HTTP beside nginx", "columns": COLUMNS, "rows": table, "rounds": rounds}


class Pair:
    """A gateway and an nginx to the same tasks."""

    def __init__(self, stage, emulator, application, others, task, logged):
        directory = stage.directory / f"logs-{logged}"
        directory.mkdir()
        log = f"{directory}/access.log" if logged else "off"
        self.gateway = stage.gateway(emulator, PORTICO__PUBLISH="never", PORTICO__LOG__ACCESS_LOG=log)
        wait_for_routes(self.gateway, len(others) + 1)
        self.session = log_in(self.gateway, "alice")
        upstream = application.url.split("//")[1]
        # As Portico does: lines are collected before they are written.
        log = f"{directory}/nginx.log combined buffer=64k flush=1s" if logged else "off"
        self.nginx = stage.start(Peer, upstream, task, others, log=log)
        self.prefix = f"/service/{task}/"
        self.proxies = [
            (self.gateway.url, [self.gateway.process.pid], self.session),
            (self.nginx.url, self.nginx.pids(), f"session={SESSION}"),
        ]

    def take(self, path, connections, headers, arguments):
        """Rounds in turns; returns Portico's and nginx's."""
        taken = [[], []]
        for number in range(arguments.pairs + 1):
            for rounds, (url, pids, session) in zip(taken, self.proxies, strict=True):
                sent = {"Cookie": f"theme=dark; {session}", **headers}
                until(lambda url=url, sent=sent: _answers(url + self.prefix + path, sent), what=f"{url} answers")
                # The first round warms up.
                seconds = arguments.seconds if number else 1
                dialed = self._dialed()
                one = load.run(url + self.prefix + path, sent, pids, seconds, connections)
                if rounds is taken[0]:
                    one["dialed"] = self._dialed() - dialed
                if number:
                    rounds.append(one)
            if number:
                print(f"    {path}: " + "  ".join(_short(rounds[-1]) for rounds in taken), flush=True)
        return taken

    def _dialed(self):
        return metric(self.gateway, "portico_upstream_requests", '{connection="dialed"}') or 0

    def stop(self):
        """Their work is done, and would disturb that of the next."""
        self.gateway.process.kill()
        self.nginx.process.kill()


def _answers(url, headers):
    answer = httpx.get(url, headers=headers, trust_env=False)
    assert answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}"
    return True


def _short(one):
    return f"{one['cpu_microseconds_per_request']:.1f} µs, {one['requests_per_second']:.0f}/s"


COLUMNS = ["load", "CPU per request, ratio", "requests a second, ratio", "Portico", "nginx"]


def _row(name, ours, theirs):
    def told(rounds):
        one = load.medians(rounds)
        return (
            f"{one['cpu_microseconds_per_request']:.1f} µs, {one['requests_per_second']:.0f}/s, "
            f"p50 {one['p50_ms']:.1f} ms, p99 {one['p99_ms']:.1f} ms"
        )

    return [
        name,
        f"{load.ratio(ours, theirs, 'cpu_microseconds_per_request'):.2f}",
        f"{load.ratio(ours, theirs, 'requests_per_second'):.2f}",
        told(ours),
        told(theirs),
    ]
