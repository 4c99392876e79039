"""Pages of docs/how-to are followed from top to bottom: their configuration, and every command word for word.

Other pages have tests beside what they are about; `cargo xtask check` tells of commands that nobody runs.
"""

import subprocess

import httpx
import pytest
from world.namespace import GATEWAY, NETWORK
from world.pages import blocks, commands
from world.process import Process, clean_env
from world.programs import PORTICO
from world.wait import until

ONE_HOST = "docs/how-to/one-host.md"
BROKEN_LINK = "docs/how-to/when-a-link-does-not-work.md"
OTHERS = ("docs/how-to/ask-for-an-endpoint.md", "docs/how-to/who-may-come-in.md")

# The task of the examples.
TASK = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def host(place):
    """A host as the page describes it: the page's own configuration, with this world's addresses in place of the examples'."""
    emulator = place.emulator()
    place.directory.mkdir(exist_ok=True)
    access_key, secret_key = emulator.key("admin")
    secret = place.directory / "secret-key"
    secret.write_text(secret_key + "\n")
    (text, *_) = blocks(ONE_HOST, "yaml")
    for example, ours in (
        ("http://clearml.example.com:8008", emulator.url),
        ('"…"', access_key),
        ("/etc/portico/secret-key", str(secret)),
        ("10.0.0.0/8", NETWORK),
        ("/var/lib/portico", str(place.directory)),
    ):
        assert example in text, f"{ONE_HOST} no longer shows {example}"
        text = text.replace(example, ours)
    (place.directory / "portico.yaml").write_text(text)
    return emulator, place


def type_in(command, directory, status=0):
    """What a shell says to it, and that it ends with that status."""
    env = clean_env(PATH=f"{PORTICO.parent}:/usr/bin:/bin")
    done = subprocess.run(command, shell=True, cwd=directory, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == status, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def serve(command, place):
    """Types in the one that goes on, and waits until the page's address says that it is ready."""
    env = clean_env(PATH=f"{PORTICO.parent}:/usr/bin:/bin")
    process = place.keep(Process("how-to", command.split(), place.directory, env=env))

    def is_ready():
        process.must_run()
        try:
            return httpx.get("http://127.0.0.1:8013/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    until(is_ready, what="the gateway is ready")


def test_one_host_is_set_up_as_the_page_says(host):
    emulator, place = host
    check, start, look = commands(ONE_HOST)
    type_in(check, place.directory)
    serve(start, place)
    task = emulator.asking("alice", place.applications().echo().port)
    until(lambda: emulator.runtime(task).get("endpoint") == f"http://gateway.example.com:8080/service/{task}/")
    with httpx.Client(headers={"Host": "gateway.example.com:8080"}, trust_env=False, auth=emulator.key("alice")) as alice:
        assert alice.get(f"http://{GATEWAY}:8080/service/{task}/").status_code == 200
    said = type_in(look, place.directory)
    assert "own key    accepted" in said and "1 open, of 1 tasks" in said, said


def test_a_broken_link_is_explained_as_the_page_says(host):
    emulator, place = host
    serve(commands(ONE_HOST)[1], place)
    echo = place.applications().echo(address="127.0.0.1")
    emulator.asking("alice", echo.port, id=TASK)
    until(lambda: "endpoint" in emulator.runtime(TASK))
    by_link, by_task = commands(BROKEN_LINK)
    # The status tells scripts that the link does not work.
    assert "not_listening: It listens on 127.0.0.1 only" in type_in(by_link, place.directory, status=1)
    assert "bob" in type_in(by_task, place.directory, status=1)


@pytest.mark.parametrize("page", OTHERS)
def test_the_page_has_no_commands_that_nobody_runs(page):
    assert commands(page) == []
