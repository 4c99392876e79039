"""What is logged and what never is: threat 15. Every gateway of the whole run is looked through in the same way when it ends."""

import pytest
from world.gateway import MARKER, assert_no_secrets
from world.wait import until


def test_no_log_holds_passwords_tokens_cookies_or_query_strings(place, browser):
    emulator = place.emulator()
    audit = place.directory / "audit.log"
    gateway = place.gateway(emulator, PORTICO__LOG__AUDIT=str(audit), LOGGER_LEVEL="DEBUG")
    echo = place.applications().echo()
    task = emulator.asking("alice", echo.port, name=f"a task\n{{\"level\": \"{MARKER[:6]}\"}}")
    gateway.published(task)
    token = emulator.control("token", user="alice")["token"]

    alice = browser.visitor()
    alice.open(gateway.link(task) + f"page?token={MARKER}")
    alice.log_in("alice", MARKER)
    alice.page.wait_for_load_state()
    until(lambda: enters(alice), within=30, what="alice comes in after her mistake")
    alice.log_in_at_clearml(emulator, "alice")
    alice.open(gateway.link(task) + f"page?token={MARKER}#{MARKER}")
    alice.page.evaluate(f"new WebSocket(new URL('socket?token={MARKER}', location.href).href.replace(/^http/, 'ws'))")
    until(lambda: any("socket" in text for text in echo.texts()))
    with gateway.client() as program:
        prefix = gateway.prefix(task)
        for headers in (
            {"Authorization": f"Bearer {token}"},
            {"Authorization": f"Bearer {token}{MARKER}"},
            {"X-Gateway-Authorization": f"Bearer {MARKER}"},
            {"Cookie": f"clearml_token_basic={token}; portico-session-00000000=v1.{MARKER}"},
            {"User-Agent": f"{MARKER}\x1b[31m", "Referer": f"http://x/?{MARKER}"},
        ):
            program.get(f"{prefix}?key={MARKER}", headers=headers)
        program.get(prefix, auth=emulator.key("alice"))
        program.get(prefix, auth=("EMULATORNOBODYKEY0000000000000", MARKER))
        program.post(f"{prefix}?key={MARKER}", content=MARKER, auth=emulator.key("alice"))
        program.get(f"/nothing/{task}?key={MARKER}")
    emulator.go_away()
    with gateway.client(auth=("EMULATORNEWKEY000000000000000", MARKER)) as program:
        program.get(prefix)

    # The log holds what it should, or the search below would prove nothing.
    until(lambda: len(accesses(gateway, task)) >= 8, what="the access log has the exchanges")
    assert all("?" not in str(record) for record in accesses(gateway, task))
    gateway.process.must_run()
    assert_no_secrets(gateway.process)
    if audit.exists():
        assert MARKER not in audit.read_text() and "eyJ" not in audit.read_text()


@pytest.mark.parametrize(
    "line",
    [
        "authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJpZGVudGl0eSI6e30.c2ln",
        "cookie: portico-session-0011aabb=v1.k1.AAAAAAAAAAAAAAAAAAAAAAAA",
        "password=alice-pw&user=alice",
        "alice-secret-of-the-emulator-for-loopback-only",
        f"GET /service/x/?token={MARKER}",
    ],
)
def test_the_search_for_secrets_finds(line):
    class Wrote:
        name = "something"

        @staticmethod
        def output():
            return f"harmless\n{line}\nharmless"

    with pytest.raises(AssertionError, match="into its log"):
        assert_no_secrets(Wrote)


def enters(visitor):
    """Another try with the right password."""
    if visitor.page.locator("input[name=user]").count():
        visitor.log_in("alice")
        visitor.page.wait_for_load_state()
    return "The echo" in visitor.text()


def accesses(gateway, task):
    """The access log's records of a task's endpoint."""
    return [record for record in gateway.log() if task in str(record) and "status" in str(record)]


@pytest.mark.parametrize("name", ["\n{\"forged\": true}\n", "\x1b[31mred\x1b[0m", "a" * 100_000])
def test_names_of_tasks_forge_no_lines(place, name):
    emulator = place.emulator()
    gateway = place.gateway(emulator)
    task = emulator.asking("alice", place.applications().echo().port, name=name)
    gateway.published(task)
    emulator.end(task)
    until(lambda: "endpoint" not in emulator.runtime(task))
    output = gateway.process.output()
    assert '{"forged": true}' not in output.splitlines()
    assert "\x1b[31mred" not in output
    assert max(len(line) for line in output.splitlines()) < 20_000
