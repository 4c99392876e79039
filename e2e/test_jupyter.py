"""The main job: a stock JupyterLab in a task, and who may work in it."""

import json
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect
from world.jupyter import Notebook
from world.namespace import free_port
from world.programs import CURL
from world.wait import Stopwatch, noted, until


class Lab:
    """A task of alice's that runs JupyterLab."""

    def __init__(self, place, access, by_sdk):
        self.emulator = place.emulator(feature_set="advanced")
        # Notebooks keep sockets open, which would hold up a restart.
        self.gateway = place.gateway(self.emulator, access=access, PORTICO__SHUTDOWN__STREAM_GRACE="1s")
        port = free_port()
        if by_sdk:
            task = place.sdk_task(self.emulator, name="notebook")
            asked = task.request(port)
            assert asked["answer"]["endpoint"] == self.gateway.link(task.id)
            self.task = task.id
        else:
            self.task = self.emulator.asking("alice", port, name="notebook")
        self.jupyter = place.jupyter(self.task, port).wait()
        self.link = self.gateway.published(self.task)
        self.notebook_link = self.link + Notebook.path()

    def enter(self, visitor, login):
        """Logs in on the way to the notebook."""
        visitor.enter(self.notebook_link, login)
        return Notebook(visitor)


@pytest.fixture(scope="module")
def visible(shared_place):
    """Whoever sees the task in ClearML may come in."""
    return Lab(shared_place, "visible", by_sdk=True)


@pytest.fixture
def owned(place):
    """Only the task's owner may come in."""
    return Lab(place, "owner", by_sdk=False)


def test_its_owner_logs_in_and_runs_a_cell(visible, browser):
    alice = browser.visitor()
    notebook = visible.enter(alice, "alice")
    notebook.run("print(6 * 7)", prints="42")
    assert alice.session_cookie()["httpOnly"]


def test_a_colleague_who_sees_the_task_is_warned_and_comes_in(visible, browser):
    bob = browser.visitor()
    bob.open(visible.notebook_link)
    bob.log_in("bob")
    expect(bob.page.get_by_role("button", name="Continue")).to_be_visible()
    assert "/_gateway/continue" in bob.page.url
    bob.go_on()
    notebook = Notebook(bob)
    notebook.run("print('for ' + 'bob')", prints="for bob")
    # Once is enough.
    bob.open(visible.notebook_link)
    expect(bob.page.locator(".jp-Notebook")).to_be_visible()


def test_a_colleague_may_not_where_only_the_owner_may(owned, browser):
    bob = browser.visitor()
    bob.open(owned.notebook_link)
    bob.log_in("bob")
    expect(bob.page.get_by_text("You may not open this endpoint")).to_be_visible()
    expect(bob.page.get_by_text("owner", exact=False).first).to_be_visible()
    assert bob.page.request.get(owned.link + "api/kernels").status == 403
    alice = browser.visitor()
    owned.enter(alice, "alice").run("print(6 * 7)", prints="42")


@pytest.mark.parametrize(("who", "to_browsers", "to_programs"), [("nobody", 302, 401), ("carol", 404, 404)])
def test_another_company_and_strangers_cannot_tell_whether_the_task_exists(visible, who, to_browsers, to_programs):
    tasks = (visible.task, uuid.uuid4().hex)
    kinds = (
        (to_browsers, {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}),
        (to_programs, {"Accept": "application/json"}),
    )
    auth = None if who == "nobody" else visible.emulator.key(who)
    asked = [(status, headers, path, task) for status, headers in kinds for path in ("", "lab", "api/kernels") for task in tasks]
    with visible.gateway.client(auth=auth) as client, ThreadPoolExecutor(len(asked)) as many:

        def ask(each):
            _, headers, path, task = each
            return client.get(visible.gateway.prefix(task) + path, headers=headers)

        answers = list(many.map(ask, asked))
    for (status, _, path, _), there, absent in zip(asked[::2], answers[::2], answers[1::2], strict=True):
        assert there.status_code == status, path
        assert looks(there, tasks) == looks(absent, tasks), path
        # Nor does the time tell: it is either nothing or the wait for what may be about to start.
        assert abs(there.elapsed.total_seconds() - absent.elapsed.total_seconds()) < 1.5, path


def looks(answer, tasks):
    """All of an answer but what differs from request to request anyway."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
    text = json.dumps([answer.status_code, headers, answer.text])
    for changing in (*tasks, answer.headers.get("x-request-id", "")):
        text = text.replace(changing, "…") if changing else text
    return text


def test_the_cookie_of_a_log_in_at_clearml_is_enough(visible, browser):
    alice = browser.visitor()
    alice.log_in_at_clearml(visible.emulator, "alice")
    alice.open(visible.notebook_link)
    Notebook(alice).run("print(2 ** 10)", prints="1024")
    carol = browser.visitor()
    carol.log_in_at_clearml(visible.emulator, "carol")
    assert carol.open(visible.notebook_link).status == 404


def test_a_program_comes_in_with_key_and_secret(visible):
    def curl(login, secret=None):
        access_key, secret_key = visible.emulator.key(login)
        given = f"{access_key}:{secret or secret_key}"
        command = [CURL, "--silent", "--show-error", "--write-out", "\n%{http_code}", "-u", given, visible.link + "api/status"]
        body, status = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rsplit("\n", 1)
        return int(status), body

    status, body = curl("alice")
    assert status == 200 and "kernels" in json.loads(body)
    assert curl("bob")[0] == 200
    assert curl("carol")[0] == 404
    status, body = curl("alice", secret="wrong")
    assert status == 401 and json.loads(body)["error"]["code"] == "credential_rejected"


def test_when_the_task_stops_its_sockets_close_and_its_address_says_so(owned, browser):
    alice = browser.visitor()
    notebook = owned.enter(alice, "alice")
    notebook.run("print(6 * 7)", prints="42")
    assert notebook.kernel_sockets() == []
    owned.emulator.end(owned.task)
    watch = Stopwatch()
    (closed, *_) = until(notebook.kernel_sockets, what="the kernel's WebSocket closes")
    noted(watch.seconds, promised=5)
    assert closed[1] == 4404
    until(lambda: "endpoint" not in owned.emulator.runtime(owned.task))
    assert "browser_endpoint" not in owned.emulator.runtime(owned.task)
    answer = alice.open(owned.link)
    assert answer.status == 410
    assert "ended" in alice.text() and "stopped" in alice.text()
    with owned.gateway.client(auth=owned.emulator.key("alice")) as program:
        assert program.get(owned.gateway.prefix(owned.task)).json()["error"]["code"] == "ended"
    # Those who may not see it learn nothing of its end.
    with owned.gateway.client(auth=owned.emulator.key("carol")) as program:
        assert program.get(owned.gateway.prefix(owned.task)).status_code == 404


def test_work_goes_on_while_clearml_is_away_and_after_a_restart(owned, browser):
    alice = browser.visitor()
    notebook = owned.enter(alice, "alice")
    notebook.run("kept = 6 * 7; print(kept)", prints="42")
    session = alice.session_cookie()["value"]

    owned.emulator.go_away()
    notebook.run("print(kept + 1)", prints="43")
    alice.page.reload()
    Notebook(alice).run("print(kept + 2)", prints="44")

    stranger = browser.visitor()
    stranger.open(owned.notebook_link)
    stranger.log_in("bob")
    expect(stranger.page.get_by_text("cannot be asked right now").first).to_be_visible()
    assert stranger.session_cookie() is None

    # Nor does a restart need ClearML: the last observation and the session's keys are state.
    owned.gateway.restart()
    alice.open(owned.notebook_link)
    Notebook(alice).run("print(kept + 3)", prints="45")
    assert alice.session_cookie()["value"] == session

    owned.emulator.come_back()
    late = browser.visitor()
    until(lambda: logs_in(owned, late), within=30, what="log-in works again")


def logs_in(lab, visitor):
    """Whether alice gets to the notebook."""
    visitor.open(lab.link + "api/status")
    if visitor.page.locator("input[name=user]").count():
        visitor.log_in("alice")
    return visitor.page.url == lab.link + "api/status"


def test_on_day_31_the_old_clearml_cookie_leads_to_the_log_in(owned, browser):
    alice = browser.visitor()
    alice.log_in_at_clearml(owned.emulator, "alice")
    alice.open(owned.link + "api/status")
    assert "kernels" in alice.text()
    owned.emulator.advance(days=31)
    visitor = alice

    def is_led_to_log_in():
        visitor.open(owned.link + "api/status")
        return visitor.page.locator("input[name=password]").count() == 1

    # Identities are asked for again every 60 s at the latest; a gateway that starts knows none.
    owned.gateway.restart()
    until(is_led_to_log_in, within=30)
    alice.log_in("alice")
    alice.is_at(owned.link + "api/status")
    assert "kernels" in alice.text()
