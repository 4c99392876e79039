"""TCP endpoints: the stock clearml-session with the stock agent, SSH through the gateway, and databases.

The laptop reaches the gateway's machine only; the worker's address leads nowhere from there. Two pages are followed here, their
configuration and each of their commands.
"""

import contextlib
import hashlib
import os
import re
import shlex

import pytest
from world import session
from world.databases import PASSWORD as DATABASE_PASSWORD
from world.namespace import WORKER
from world.pages import blocks, commands, output
from world.programs import CURL
from world.session import Ssh
from world.streams import NAME, Report, banner, is_refused, key_fingerprint, offered, public_port
from world.terminal import Terminal
from world.wait import Stopwatch, noted, until

SSH_PAGE = "docs/how-to/ssh-by-clearml-session.md"
OPEN_SESSION, OPEN_SSH, COPY = commands(SSH_PAGE)
PSQL, REDIS_CLI = commands("docs/how-to/databases.md")

SSHD = 10022
# What the task holds about where it is reached.
REACHED_BY = ("external_address", "external_tcp_port", "upstream_task_port")


@pytest.fixture(scope="module")
def report():
    """Written when the last test has ended."""
    report = Report()
    yield report
    report.write()


class World:
    """An open-source server with an agent, a laptop, and a session that was opened before there was a gateway."""

    def __init__(self, place):
        self.place = place
        self.emulator = place.emulator(feature_set="basic")
        self.laptop = place.laptop()
        self.laptop.knows(NAME)
        self.agent = place.agent(self.emulator)
        self.session = place.session(self.laptop, self.emulator, OPEN_SESSION)
        self.session.shows(r"Starting SSH tunnel", within=120)
        configuration = place.directory / "portico.yaml"
        (text,) = blocks(SSH_PAGE, "yaml")
        configuration.write_text(text)
        # What is open is cut soon when the gateway ends.
        self.gateway = place.gateway(self.emulator, PORTICO_CONFIG=configuration, PORTICO__SHUTDOWN__STREAM_GRACE="1s")
        self.task = self.session.task
        self.port = public_port(self.gateway, self.task)

    def ssh(self, port=None, **options):
        """SSH from the laptop through the gateway."""
        return Ssh(self.laptop, port or self.port, NAME, **options)

    @contextlib.contextmanager
    def run_again(self, *options):
        """Has the agent take the task once more, and attaches a client; gives the client and its public port."""
        self.emulator.call("alice", "tasks.enqueue", task=self.task, queue_name="default")
        until(lambda: self.emulator.task(self.task)["status"] == "in_progress", within=30, what="the agent takes the task again")
        # A client that finds JupyterLab's port and not yet its token ends with an error of its own.
        until(lambda: self.emulator.runtime(self.task).get("_jupyter_token"), within=60, what="JupyterLab runs again")
        client = self.place.session(self.laptop, self.emulator, " ".join(("clearml-session --attach", self.task, *options)))
        try:
            client.is_up(within=90)
            yield client, public_port(self.gateway, self.task)
            client.shut_down()
        finally:
            # Else the agent is busy with it for the rest of the tests.
            self.emulator.call("alice", "tasks.stopped", task=self.task, force=True)


@pytest.fixture(scope="module")
def world(shared_place):
    """What the tests of the session share, in their order."""
    return World(shared_place)


def test_the_client_switches_by_itself_to_the_address_that_the_gateway_publishes(world, report):
    world.session.is_up()
    dials = world.session.dials()
    assert (dials[0], dials[-1]) == (f"{WORKER}:{SSHD}", f"{NAME}:{world.port}")
    assert is_refused(world.laptop, SSHD, WORKER)
    for line in output(SSH_PAGE, OPEN_SESSION):
        world.session.shows(line)
    runtime = world.emulator.runtime(world.task)
    assert (runtime["external_address"], int(runtime["upstream_task_port"])) == (NAME, SSHD)
    report.note("session", command=OPEN_SESSION, task=world.task, dials=dials, public_port=world.port)


def test_ssh_through_the_gateway_ends_at_the_sessions_own_server(world, report):
    said = banner(world.laptop, world.port)
    assert said.startswith("SSH-2.0-OpenSSH")
    through = key_fingerprint(world.laptop, world.port)
    itself = world.ssh().run("ssh-keyscan -p 10022 -t ed25519 127.0.0.1 2>/dev/null | ssh-keygen -l -f - | cut -d' ' -f2")
    assert through == itself
    assert world.ssh().run("echo $SSH_CONNECTION").split()[3] == str(SSHD)
    report.note("session", banner=said, host_key=through)


def test_somebody_types_ssh_as_the_client_says(world):
    port = world.session.is_up()
    assert str(port) in OPEN_SSH
    terminal = world.place.keep(Terminal(world.laptop, OPEN_SSH.split(), "ssh"))
    terminal.shows(r"\(yes/no")
    terminal.types("yes")
    terminal.shows(r"password:")
    terminal.types(session.PASSWORD)
    # Sums, because what is typed is shown, too.
    terminal.types("echo typed-$((6 * 7))")
    terminal.shows(r"typed-42")
    terminal.types("exit")


def test_jupyterlab_is_reached_through_the_clients_tunnel(world, report):
    url = world.session.jupyter_url()
    base, token = re.fullmatch(r"(http://localhost:\d+)/\?token=(\w+)", url).groups()
    asked = [CURL, "--silent", "--show-error", "--fail", "-H", f"Authorization: token {token}"]
    assert '"kernels"' in world.laptop.run(*asked, f"{base}/api/status").stdout
    # It is the session's: it shows the session's files.
    world.ssh().run("echo 'by ssh' > ~/seen-by-both")
    assert world.laptop.run(*asked, f"{base}/files/seen-by-both").stdout.strip() == "by ssh"
    report.note("jupyterlab", url=base, api=world.laptop.run(*asked, f"{base}/api").stdout.strip())


def test_a_hundred_megabytes_arrive_whole_in_both_directions(world, report):
    data = os.urandom(100_000_000)
    (world.laptop.home / "results.tar").write_bytes(data)
    checksum = hashlib.sha256(data).hexdigest()
    assert str(world.port) in COPY
    watch = Stopwatch()
    world.ssh().types(COPY)
    up = watch.seconds
    arrived = world.ssh().run("sha256sum /root/results.tar").split()[0]
    watch = Stopwatch()
    world.ssh().types(f"scp -P {world.port} root@{NAME}:results.tar back.tar")
    down = watch.seconds
    back = hashlib.sha256((world.laptop.home / "back.tar").read_bytes()).hexdigest()
    assert (arrived, back) == (checksum, checksum)
    seconds = {"up": round(up, 2), "down": round(down, 2)}
    report.note("scp", bytes=len(data), sha256={"sent": checksum, "arrived": arrived, "back": back}, seconds=seconds)


def test_after_a_restart_of_the_gateway_the_client_is_back_on_the_same_port(world, report):
    tunnel = Ssh(world.laptop, world.session.is_up(), "localhost")
    seen = len(world.session.screen)
    world.gateway.stop()
    assert is_refused(world.laptop, world.port)
    world.gateway.start()
    watch = Stopwatch()
    assert public_port(world.gateway, world.task) == world.port
    world.session.is_up(since=seen)
    assert tunnel.run("echo back") == "back"
    noted(watch.seconds, promised=15)
    assert world.session.dials()[-1] == f"{NAME}:{world.port}"
    report.note("restart", port=world.port, seconds_until_the_client_was_back=round(watch.seconds, 2))


def test_the_port_of_a_session_that_was_shut_down_is_closed(world):
    world.session.shut_down()
    watch = Stopwatch()
    until(lambda: is_refused(world.laptop, world.port), what="the port is closed")
    noted(watch.seconds, promised=5)


def test_a_session_that_runs_again_without_a_reset_is_found_at_its_new_server(world, report):
    left_behind = {key: world.emulator.runtime(world.task).get(key) for key in REACHED_BY}
    with world.run_again() as (client, port):
        assert client.dials()[-1] == f"{NAME}:{port}"
        server = world.emulator.properties(world.task)["internal_ssh_port"]
        assert world.ssh(port).run("echo $SSH_CONNECTION").split()[3] == server
    # The port was still cooling, and so nobody else's.
    assert port == world.port
    report.note("run again without a reset", left_behind=left_behind, dials=client.dials(), public_port=port, upstream=server)


def test_a_session_that_runs_again_after_a_reset_is_found_without_an_address_of_its_own(world, report):
    world.emulator.call("alice", "tasks.reset", task=world.task, force=True)
    assert world.emulator.runtime(world.task) == {}
    # The reset takes the password away, too, and the script sets this one.
    with world.run_again("--password", "None") as (client, port):
        assert client.dials()[-1] == f"{NAME}:{port}"
        server = world.emulator.properties(world.task)["internal_ssh_port"]
        assert world.ssh(port, password="None").run("echo $SSH_CONNECTION").split()[3] == server
    report.note("run again after a reset", dials=client.dials(), public_port=port, upstream=server)


def test_a_session_that_is_kept_alive_is_reached_beside_its_local_proxy(world, report):
    command = "clearml-session --queue default --router-enabled true --jupyter-lab false --keepalive true"
    client = world.place.session(world.laptop, world.emulator, command)
    local = client.is_up(within=120)
    port = public_port(world.gateway, client.task)
    assert client.dials()[-1] == f"{NAME}:{port}"
    properties = world.emulator.properties(client.task)
    assert int(world.emulator.runtime(client.task)["upstream_task_port"]) == int(properties["internal_ssh_port"])
    assert properties["internal_ssh_port"] != properties["internal_stable_ssh_port"]
    # The session's own proxy, which a bare connect breaks for good, still works.
    assert Ssh(world.laptop, local, "localhost").run("echo kept") == "kept"
    assert [world.ssh(port).run("echo alive") for _ in range(3)] == ["alive"] * 3
    # With its start the client took the earlier session away.
    found = world.emulator.call("alice", "tasks.get_all", id=[world.task], only_fields=["id"])
    assert found == {"tasks": []}
    report.note("kept alive", dials=client.dials(), public_port=port, upstream=properties["internal_ssh_port"])
    client.shut_down()


def test_the_whole_was_done_with_calls_that_the_server_knows(world, report):
    assert world.emulator.unknown_calls() == {}
    report.note("session", calls_of_clearml=world.emulator.ask("calls")["calls"])


class Databases:
    """A server with the features that the SDK wants for its request, and a gateway that is known by a name."""

    def __init__(self, place):
        self.emulator = place.emulator(feature_set="advanced")
        self.gateway = place.gateway(self.emulator, **offered(30100, 30119), PORTICO__SHUTDOWN__STREAM_GRACE="1s")
        self.laptop = place.laptop()
        self.laptop.knows(NAME)

    def type(self, *command, **options):
        """What the client on the laptop says."""
        secrets = {"PGPASSWORD": DATABASE_PASSWORD, "REDISCLI_AUTH": DATABASE_PASSWORD}
        return self.laptop.run(*command, env=self.laptop.env(**secrets), **options).stdout.strip()


@pytest.fixture(scope="module")
def databases(shared_place):
    """What the tests of databases share."""
    return Databases(shared_place)


def test_psql_works_through_the_gateway_and_again_after_its_restart(databases, place, report):
    postgres = place.postgres()
    task = place.sdk_task(databases.emulator, name="postgres")
    task.request(postgres.port, protocol="tcp")
    port = public_port(databases.gateway, task.id)

    def psql(statement):
        *client, _ = shlex.split(PSQL.replace("30000", str(port)))
        return databases.type(*client, statement, "-X", "-At", "-v", "ON_ERROR_STOP=1")

    rows = "select count(*), md5(string_agg(word, ',' order by id)) from words"
    psql("create table words as select id, md5(id::text) as word from generate_series(1, 100000) id")
    before = psql(rows)
    assert before.startswith("100000|")
    databases.gateway.restart()
    assert public_port(databases.gateway, task.id) == port
    assert psql(rows) == before
    address = f"{NAME}:{port}"
    report.note("postgresql", server=psql(shlex.split(PSQL)[-1]), address=address, checksum_of_100000_rows=before.split("|")[1])
    task.close()


def test_redis_cli_works_on_the_port_that_its_task_asked_for(databases, place, report):
    redis = place.redis()
    wanted = 30107
    task = place.sdk_task(databases.emulator, name="redis")
    # Its agent tells the server where it runs; the property does not.
    databases.emulator.report_as_agent(task.id)
    task.do("properties", values={"portico": f"cache=tcp:{redis.port},port={wanted}"})
    assert public_port(databases.gateway, task.id, "__cache") == wanted

    def redis_cli(*more, **options):
        *client, _ = REDIS_CLI.replace("30001", str(wanted)).split()
        return databases.type(*client, *more, **options)

    value = os.urandom(500_000).hex()
    assert redis_cli(REDIS_CLI.split()[-1]) == "PONG"
    assert redis_cli("-x", "set", "kept", input=value) == "OK"
    assert redis_cli("get", "kept") == value
    server = re.search(r"redis_version:(\S+)", redis_cli("info", "server"))[1]
    report.note("redis", server=server, address=f"{NAME}:{wanted}", sha256=hashlib.sha256(value.encode()).hexdigest())
    task.close()
    until(lambda: is_refused(databases.laptop, wanted), what="the port of a completed task is closed")
