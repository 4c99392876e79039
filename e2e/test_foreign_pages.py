"""What pages of other origins can do with a visitor's session: threat 7, and the open redirect of threat 5."""

import json
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import pytest
from world.applications import Page
from world.namespace import free_port

_BLANK = "<!doctype html><title>a page</title><p>a page"


@dataclass
class Neighborhood:
    """A gateway with an endpoint of alice's, and pages of other origins."""

    gateway: object
    emulator: object
    echo: object
    task: str
    origins: dict


def neighborhood(place, form):
    """The gateway under a name; `form` is the kind of its URL."""
    applications = place.applications()
    echo, blank = applications.echo(), applications.start([(r".*", Page, {"text": _BLANK})])
    emulator = place.emulator()
    if form == "loopback":
        # Chromium takes loopback for trustworthy, and sends Sec-Fetch-Site even without TLS.
        gateway = place.gateway(emulator, host="localhost")
        origins = {"another port": f"http://localhost:{blank.port}", "a foreign host": f"http://127.0.0.1:{blank.port}"}
    elif form == "http":
        # No Sec-Fetch-Site: Origin alone has to tell.
        gateway = place.gateway(emulator, host="gateway.example.test")
        origins = {
            "another port": f"http://gateway.example.test:{blank.port}",
            "a sibling host": f"http://sibling.example.test:{blank.port}",
            "a foreign host": f"http://foreign.other.test:{blank.port}",
        }
    else:
        port, page_port = free_port(), free_port()
        gateway = place.gateway(
            emulator, url=f"https://gateway.example.test:{port}", PORTICO__HTTP__TRUSTED_PROXIES="127.0.0.1/32,198.18.0.1/32"
        )
        place.nginx([("tls", port, gateway.address), ("tls", page_port, f"http://127.0.0.1:{blank.port}")])
        origins = {
            "another port": f"https://gateway.example.test:{page_port}",
            "a sibling host": f"https://sibling.example.test:{page_port}",
            "a foreign host": f"https://foreign.other.test:{page_port}",
        }
    task = emulator.asking("alice", echo.port)
    gateway.published(task)
    return Neighborhood(gateway, emulator, echo, task, origins)


@pytest.fixture(scope="module", params=["loopback", "http", "https"])
def around(request, shared_place):
    """The neighborhood, by each kind of URL."""
    return neighborhood(shared_place, request.param), request.param


# Each tries one thing and says what came of it; none throws.
_TRIES = {
    "post": """async target => {
        try { await fetch(target, {method: 'POST', body: 'x', mode: 'no-cors', credentials: 'include'}); } catch {}
    }""",
    "simple fetch that reads": """async target => {
        try { await (await fetch(target, {credentials: 'include'})).text(); } catch {}
    }""",
    "fetch with a preflight": """async target => {
        try { await fetch(target, {method: 'PUT', headers: {'X-A': '1'}, credentials: 'include'}); } catch {}
    }""",
    "websocket": """target => new Promise(done => {
        const socket = new WebSocket(target.replace(/^http/, 'ws'));
        socket.onopen = () => { socket.close(); done('open'); };
        socket.onclose = () => done('closed');
    })""",
    "form": """target => new Promise(done => {
        const frame = document.createElement('iframe'), form = document.createElement('form');
        // The name first: a form without its frame would open a window.
        frame.name = 'sink';
        Object.assign(form, {method: 'POST', action: target, target: 'sink'});
        document.body.append(frame, form);
        frame.onload = () => done();
        form.submit();
    })""",
    "image": """target => new Promise(done => {
        const image = new Image();
        image.onload = image.onerror = () => done();
        image.src = target;
    })""",
    "script": """target => new Promise(done => {
        const script = document.createElement('script');
        script.onload = script.onerror = () => done();
        script.src = target;
        document.body.append(script);
    })""",
}
# What changes something, or opens a way to do so. The others only load, and their answers stay unread.
_UNSAFE = {"post", "fetch with a preflight", "websocket", "form"}


def attack(visitor, around, kind):
    """Tries it from the page that is open; returns whether the request came through to the application."""
    path = "socket" if kind == "websocket" else "thing"
    mark = f"mark-{len(around.echo.arrived)}-{kind.replace(' ', '-')}"
    visitor.page.evaluate(_TRIES[kind], f"{around.gateway.link(around.task)}{path}?{mark}")
    return any(mark in text for text in around.echo.texts())


@pytest.mark.parametrize("by", ["session", "clearml cookie"])
def test_pages_of_other_origins_cannot_use_the_visitors_session(around, browser, by):
    around, form = around
    alice = browser.visitor()
    link = around.gateway.link(around.task)
    if by == "session":
        alice.enter(link, "alice")
    else:
        alice.log_in_at_clearml(around.emulator, "alice", host=urlsplit(around.gateway.url).hostname)
        alice.open(link)
    assert "The echo" in alice.text()
    # From the endpoint's own page all of it works: what fails below fails for its origin.
    for kind in _TRIES:
        assert attack(alice, around, kind), f"{kind} from the endpoint's own page"
    came = []
    for where, origin in around.origins.items():
        for kind in _TRIES:
            # Without Sec-Fetch-Site nothing tells a foreign image from an own one.
            if form == "http" and kind not in _UNSAFE:
                continue
            alice.open(origin)
            if attack(alice, around, kind):
                came.append(f"{kind} from {where}")
    assert came == []


def test_links_from_other_origins_lead_in(around, browser):
    around, _ = around
    alice = browser.visitor()
    link = around.gateway.link(around.task)
    alice.enter(link, "alice")
    for where, origin in around.origins.items():
        alice.open(origin)
        alice.page.evaluate("link => { document.body.innerHTML = `<a href='${link}'>go</a>`; }", link)
        alice.page.get_by_text("go").click()
        alice.page.get_by_text("The echo").wait_for()
        assert alice.page.url.startswith(link), where


def test_a_page_without_credentials_learns_nothing_by_a_preflight(around):
    around, _ = around
    with around.gateway.client() as client:
        headers = {"Origin": "http://foreign.other.test", "Access-Control-Request-Method": "PUT"}
        answer = client.request("OPTIONS", around.gateway.prefix(around.task), headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.status_code in (401, 403)


# What a target may be does not depend on the form of the gateway's URL.
@pytest.mark.parametrize("around", ["http"], indirect=True)
@pytest.mark.parametrize(
    "target",
    [
        "//foreign.other.test/",
        "///foreign.other.test/",
        "/\\foreign.other.test/",
        "\\\\foreign.other.test/",
        "/\t/foreign.other.test/",
        "https://foreign.other.test/",
        "http:foreign.other.test",
        "javascript:document.title='foreign'",
        "data:text/html,foreign",
        "http://gateway.example.test@foreign.other.test/",
        "/service/../..//foreign.other.test/",
        "/%2f%2fforeign.other.test/",
        "/\r\nLocation: http://foreign.other.test/",
        "/_gateway/login?return_to=//foreign.other.test/",
    ],
)
def test_no_log_in_leads_to_a_foreign_host(around, browser, target):
    around, _ = around
    visitor = browser.visitor()
    for page in ("login?return_to=", "open?router=e2e&path=", f"open?router=e2e&task={around.task}&path=", "continue?to="):
        visitor.context.clear_cookies()
        visitor.open(f"{around.gateway.url}/_gateway/{page}{quote(target, safe='')}")
        if visitor.page.locator("input[name=user]").count():
            visitor.log_in("alice")
            visitor.page.wait_for_load_state()
        assert urlsplit(visitor.page.url).netloc == urlsplit(around.gateway.url).netloc, page
        assert visitor.page.title() != "foreign"
    assert json.dumps(target) not in around.echo.texts()
