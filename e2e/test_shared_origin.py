"""Applications that share the gateway's origin: what a hostile one cannot do (threat 23), and what none gets to see (threat 6)."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import httpx
import pytest
from world.applications import Arrived, Echo, EchoSocket, Events, Page
from world.gateway import MARKER
from world.namespace import WORKER
from world.wait import until

# A worker that answers for every page in its reach.
_WORKER = """
self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', event => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', event => event.respondWith(new Response('owned', {headers: {'Content-Type': 'text/html'}})));
"""
_REGISTER = """scope => navigator.serviceWorker.register('worker.js', {scope})
    .then(got => 'registered for ' + new URL(got.scope).pathname, error => error.name)"""
# Registering is not yet answering: a page that is opened before the worker is active still comes from the server.
_ACTIVE = "navigator.serviceWorker.ready.then(got => got.active !== null)"
_HOSTILE_COOKIES = (
    "tossed=1; Path=/",
    "wide=1; Path=/; Domain=localhost",
    "portico-session-00000000=1; Path=/",
    "clearml_token_basic=tossed; Path=/",
)
_CLEAR = (("Clear-Site-Data", '"*"'),)
_HOSTILE_HEADERS = (
    ("Alt-Svc", 'h3=":443"'),
    ("NEL", '{"report_to":"x","max_age":9}'),
    ("Strict-Transport-Security", "max-age=9"),
)


def hostile(applications):
    """An application that speaks for the whole origin."""
    page = {"text": "<!doctype html><h1>The hostile one</h1>", "headers": _HOSTILE_HEADERS, "cookies": _HOSTILE_COOKIES}
    worker = {"text": _WORKER, "headers": (("Service-Worker-Allowed", "/"),), "kind": "text/javascript"}
    clear = {"text": "<!doctype html><h1>Cleared</h1>", "headers": _CLEAR}
    return applications.start([(r".*/worker\.js", Page, worker), (r".*/clear", Page, clear), (r".*", Page, page)])


def work_in(visitor, link):
    """Leaves something of the visitor's in the good application."""
    visitor.open(link)
    visitor.page.evaluate("localStorage.setItem('work', 'kept')")


def test_the_hostile_application_is_dangerous_without_the_gateway(place, browser):
    """Without this, the test below might show only that the attack does not work."""
    bad = hostile(place.applications())
    visitor = browser.visitor()
    link = f"http://localhost:{bad.port}/service/x/"
    work_in(visitor, link)
    assert visitor.cookies()["tossed"]["path"] == "/"
    assert visitor.page.evaluate(_REGISTER, "/") == "registered for /"
    assert visitor.page.evaluate(_ACTIVE)
    visitor.open(f"http://localhost:{bad.port}/another/")
    assert visitor.text() == "owned"
    fresh = browser.visitor()
    work_in(fresh, link)
    fresh.open(f"{link}clear")
    until(lambda: fresh.page.evaluate("localStorage.getItem('work')") is None)


def test_a_hostile_application_does_not_reach_beyond_its_prefix(place, browser):
    applications = place.applications()
    bad, good = hostile(applications), applications.echo()
    emulator = place.emulator()
    # Workers need a trustworthy origin: TLS or loopback.
    gateway = place.gateway(emulator, host="localhost")
    bad_task, good_task = emulator.asking("alice", bad.port), emulator.asking("alice", good.port)
    gateway.published(bad_task)
    bad_link, good_link = gateway.link(bad_task), gateway.published(good_task)
    alice = browser.visitor()
    alice.enter(good_link, "alice")
    work_in(alice, good_link)
    session = alice.session_cookie()

    cleared = alice.open(f"{bad_link}clear")
    assert "Cleared" in alice.text() and "clear-site-data" not in cleared.headers
    alice.open(bad_link)
    assert "The hostile one" in alice.text()
    assert alice.page.evaluate(_REGISTER, "/") == "SecurityError"
    assert alice.page.evaluate(_REGISTER, "/service/") == "SecurityError"
    assert alice.page.evaluate(_REGISTER, f"/service/{good_task}/") == "SecurityError"
    # What an application may do below its own prefix stays possible, or the refusals above would prove little.
    own = f"/service/{bad_task}/"
    assert alice.page.evaluate(_REGISTER, own) == f"registered for {own}"

    cookies = alice.cookies()
    assert alice.session_cookie() == session
    assert cookies["tossed"]["path"].startswith(f"/service/{bad_task}")
    assert "clearml_token_basic" not in cookies and "portico-session-00000000" not in cookies
    good.arrived.clear()
    alice.open(good_link)
    assert "The echo" in alice.text()
    assert alice.page.evaluate("localStorage.getItem('work')") == "kept"
    assert good.arrived and not [text for text in good.texts() if "tossed" in text or "wide=1" in text]
    # The log-in is as before, too, for the next visitor of this browser.
    alice.context.clear_cookies(name=session["name"])
    alice.enter(good_link, "alice")
    assert "The echo" in alice.text()


def test_nothing_of_ours_and_nothing_of_clearmls_arrives(place, browser):
    emulator = place.emulator()
    gateway = place.gateway(emulator)
    echo = place.applications().echo()
    link = gateway.published(emulator.asking("alice", echo.port))
    alice = browser.visitor()
    # Both credentials at once: a session and the cookie of a log-in at ClearML.
    alice.enter(link, "alice")
    alice.log_in_at_clearml(emulator, "alice")
    assert alice.session_cookie()
    alice.page.evaluate("document.cookie = 'theirs=kept; path=/'")
    alice.open(link + "page?its=own")
    alice.page.evaluate("fetch('thing', {method: 'POST', body: 'x', headers: {Authorization: 'Token of-the-application'}})")
    shown = alice.page.evaluate(
        """() => new Promise(done => {
            const socket = new WebSocket(new URL('socket', location.href).href.replace(/^http/, 'ws'), ['a.b']);
            socket.onmessage = event => done([socket.protocol, event.data]);
        })"""
    )
    assert shown[0] == "a.b"
    events = alice.page.evaluate(
        """() => new Promise(done => {
            const events = [], source = new EventSource('events');
            source.onmessage = event => { events.push(event.data); if (events.length > 3) { source.close(); done(events); } };
        })"""
    )
    assert events[1:4] == ["1", "2", "3"]
    paths = {text.split()[1].rsplit("/", 1)[-1] for text in echo.texts()}
    assert {"page?its=own", "thing", "socket", "events"} <= paths
    own = [request for request in echo.arrived if request.uri.endswith(("page?its=own", "thing", "socket", "events"))]
    for request in own:
        assert_clean(request, emulator)
        assert "theirs=kept" in request.everything(), "the application's own cookies are its own"
    assert ["Token of-the-application"] in [request.header("Authorization") for request in own]


def test_the_credentials_of_programs_do_not_arrive(place):
    emulator = place.emulator()
    gateway = place.gateway(emulator)
    echo = place.applications().echo()
    task = emulator.asking("alice", echo.port)
    gateway.published(task)
    token = emulator.control("token", user="alice")["token"]
    ways = {
        "key and secret": {"auth": emulator.key("alice")},
        "token": {"headers": {"Authorization": f"Bearer {token}"}},
        "our header": {"headers": {"X-Gateway-Authorization": f"Bearer {token}", "Authorization": "Bearer of-the-application"}},
        "cookie": {"cookies": {"clearml_token_basic": token, "clearml_token_old": "1", "any": token, "theirs": "kept"}},
    }
    for way, given in ways.items():
        echo.arrived.clear()
        with gateway.client(**given) as program:
            answer = program.get(gateway.prefix(task), params={"secret": MARKER})
        assert answer.status_code == 200, f"{way}: {answer.text}"
        (arrived,) = [request for request in echo.arrived if MARKER in request.uri]
        assert_clean(arrived, emulator)
        if way == "our header":
            assert arrived.header("Authorization") == ["Bearer of-the-application"]
        if way == "cookie":
            assert arrived.header("Cookie") == ["theirs=kept"]


def assert_clean(request: Arrived, emulator):
    """Nothing that is ours or ClearML's stands in a request."""
    everything = request.everything()
    secrets = ["portico", "clearml_token", "clearml-token", "eyJ", emulator.key("alice")[0], emulator.key("alice")[1], "Basic "]
    assert [secret for secret in secrets if secret.lower() in everything.lower()] == [], everything


@pytest.mark.parametrize("who", ["nobody", "carol"])
def test_strangers_get_no_answer_of_the_application_by_any_method_or_protocol(place, who):
    emulator = place.emulator()
    gateway = place.gateway(emulator)
    applications = place.applications()
    # It answers every path and method with 200, so whatever comes through shows.
    echo = applications.start([(r".*/socket", EchoSocket), (r".*/events", Events), (r".*", Echo)])
    task = emulator.asking("alice", echo.port)
    gateway.published(task)
    # Its prefix is probed by Portico itself; wait for that, so that what arrives afterwards is somebody's.
    with gateway.client(auth=emulator.key("alice")) as alice:
        assert alice.get(gateway.prefix(task)).status_code == 200
    echo.arrived.clear()
    auth = None if who == "nobody" else emulator.key(who)
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND")
    paths = ("", "health", "metrics", "static/a.css", ".well-known/x", "socket", "_gateway/health", "login")
    # All at once: whoever is known waits for what may be about to start.
    with gateway.client(auth=auth) as stranger, ThreadPoolExecutor(16) as many:

        def ask(asked):
            method, path = asked
            return asked, stranger.request(method, gateway.prefix(task) + path).status_code

        for asked, status in many.map(ask, product(methods, paths)):
            assert status in (302, 401, 403, 404, 405), f"{asked}: {status}"
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "A" * 22 + "=="}
        assert stranger.get(gateway.prefix(task) + "socket", headers=upgrade).status_code in (401, 404)
    assert echo.texts() == []
    assert httpx.get(f"http://{WORKER}:{echo.port}/", trust_env=False).status_code == 200, "the application itself is open"
