"""A caching nginx in front never serves one user's answer to another: threat 26."""

import httpx
import pytest
from world.applications import Page
from world.namespace import GATEWAY, free_port

# As an application without users answers, and as one answers that thinks of shared caches.
_PUBLIC = (("Cache-Control", "public, max-age=600, s-maxage=600"), ("Expires", "Thu, 31 Dec 2099 23:59:59 GMT"))
_ACCELERATED = (("X-Accel-Expires", "600"), ("CDN-Cache-Control", "max-age=600"), ("Surrogate-Control", "max-age=600"))
_PLAIN = (("ETag", '"1"'), ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"))


@pytest.fixture
def cached(place):
    """A gateway behind a cache, with an endpoint that only alice may open."""
    port = free_port()
    emulator = place.emulator()
    gateway = place.gateway(emulator, access="owner", url=f"http://{GATEWAY}:{port}")
    applications = place.applications()
    routes = [
        (r".*/public\.css", Page, {"text": "for alice", "headers": _PUBLIC}),
        (r".*/accelerated\.css", Page, {"text": "for alice", "headers": _ACCELERATED}),
        (r".*/plain\.css", Page, {"text": "for alice", "headers": _PLAIN}),
        (r".*", Page, {"text": "for alice"}),
    ]
    application = applications.start(routes)
    task = emulator.asking("alice", application.port)
    gateway.published(task)
    control = free_port()
    place.nginx([("cache", port, gateway.address), ("cache", control, f"http://127.0.0.1:{application.port}")])
    return emulator, gateway, task, f"http://{GATEWAY}:{control}"


PATHS = ("public.css", "accelerated.css", "plain.css", "account.php/style.css")


def test_the_cache_would_serve_the_applications_own_answers_to_anybody(cached):
    """Without this, the tests below might show only that the cache does not cache."""
    *_, control = cached
    for path in PATHS:
        first, second = (httpx.get(f"{control}/{path}", trust_env=False) for _ in range(2))
        assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT"), path


@pytest.mark.parametrize("second", ["bob", "nobody"])
def test_the_cache_does_not_serve_alices_answer_to(cached, second):
    emulator, gateway, task, _ = cached
    auth = None if second == "nobody" else emulator.key(second)
    for path in PATHS:
        link = gateway.link(task) + path
        assert httpx.get(link, auth=emulator.key("alice"), trust_env=False).text == "for alice"
        answer = httpx.get(link, auth=auth, trust_env=False)
        assert answer.status_code == (401 if second == "nobody" else 403), path
        assert "for alice" not in answer.text
        # Nor is the refusal kept for those who may.
        assert httpx.get(link, auth=emulator.key("alice"), trust_env=False).text == "for alice"


def test_the_cache_keeps_no_redirect_and_no_page_of_ours(cached, browser):
    emulator, gateway, task, _ = cached
    link = gateway.link(task) + "public.css"
    stranger = browser.visitor()
    stranger.open(link)
    assert stranger.page.locator("input[name=password]").count() == 1
    alice = browser.visitor()
    alice.enter(link, "alice")
    assert "for alice" in alice.text()
    for path in ("", "/_gateway/login?return_to=/", f"/service/{task}"):
        for _ in range(2):
            answer = httpx.get(gateway.url + path, auth=emulator.key("alice"), trust_env=False)
            assert answer.headers["x-cache"] != "HIT", path
            assert "no-store" in answer.headers["cache-control"], path
