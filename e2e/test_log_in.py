"""The log-in and the visitor's list of endpoints, as people see them."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect
from world.namespace import free_port
from world.wait import until

NAMES = {
    "a script": "<script>window.hacked = 1</script>",
    "an attribute": "\"'><img src=x onerror='window.hacked = 1'>",
    "a template": "{{7*7}} ${7*7} <%= 7*7 %>",
    "right-to-left marks": "\u202egnp.exe\u202c \u200f ok",
    "lines": 'one\n"two"\r\nSet-Cookie: a=b',
    "very long": "long " * 2000,
    "emoji": "🧪 naïve – プロット",
}


@pytest.fixture(scope="module", params=["one url", "console of its own"])
def site(request, shared_place):
    """A gateway by each of the two forms, with endpoints of alice's and bob's."""
    emulator = shared_place.emulator()
    own = "http://console.example.test:{port}" if request.param == "console of its own" else None
    gateway = shared_place.gateway(emulator, access="visible", host="gateway.example.test", console_url=own)
    echo = shared_place.applications().echo()
    site = Site(emulator, gateway, echo)
    site.task = emulator.asking("alice", echo.port, name="a task of alice")
    gateway.published(site.task)
    return site


class Site:
    """What a test needs of it."""

    def __init__(self, emulator, gateway, echo):
        self.emulator, self.gateway, self.echo = emulator, gateway, echo
        self.link = None
        self.task = None

    @property
    def log_in_host(self):
        """Where the log-in page is."""
        return urlsplit(self.gateway.console_url or self.gateway.url).netloc


def test_the_log_in_leads_back_to_the_page_that_was_asked_for(site, browser):
    alice = browser.visitor()
    wanted = site.gateway.link(site.task) + "deep/page?x=1&y=a%2Fb"
    alice.open(wanted)
    expect(alice.page.locator("input[name=password]")).to_be_visible()
    assert urlsplit(alice.page.url).netloc == site.log_in_host
    alice.log_in("alice")
    expect(alice.page.get_by_text("The echo")).to_be_visible()
    assert alice.page.url == wanted
    assert [text for text in site.echo.texts() if "/deep/page?x=1&y=a%2Fb" in text]


def test_the_published_link_for_people_logs_in_and_leads_on(site, browser):
    alice = browser.visitor()
    alice.open(site.emulator.runtime(site.task)["browser_endpoint"])
    alice.log_in("alice")
    expect(alice.page.get_by_text("The echo")).to_be_visible()
    assert alice.page.url.startswith(site.gateway.link(site.task))


def test_key_and_secret_are_as_good_as_a_password(site, browser):
    alice = browser.visitor()
    alice.open(site.gateway.link(site.task))
    access_key, secret_key = site.emulator.key("alice")
    alice.log_in(access_key, secret_key)
    expect(alice.page.get_by_text("The echo")).to_be_visible()


def test_a_wrong_password_says_so_and_does_not_lock_the_account(site, browser):
    alice = browser.visitor()
    alice.open(site.gateway.link(site.task))
    alice.log_in("alice", "wrong")
    expect(alice.page.get_by_text("does not know this user name and password").first).to_be_visible()
    assert alice.session_cookie() is None

    alice.log_in("alice")

    def comes_in():
        # After a failure the next try may be delayed, which the page says; it is never refused for good.
        alice.page.wait_for_load_state()
        if alice.page.locator("input[name=user]").count():
            alice.log_in("alice")
        else:
            alice.open(site.gateway.link(site.task))
        return alice.page.get_by_text("The echo").count() == 1

    until(comes_in, within=60)


def test_log_out_ends_the_session(site, browser):
    alice = browser.visitor()
    link = site.gateway.link(site.task)
    alice.enter(link, "alice")
    session = alice.session_cookie()
    alice.open(site.gateway.console_url or site.gateway.url)
    alice.page.get_by_role("link", name="Log out").click()
    alice.page.get_by_role("button", name="Log out").click()
    expect(alice.page.get_by_text("You are logged out")).to_be_visible()
    until(lambda: alice.session_cookie() is None or alice.session_cookie()["value"] != session["value"])
    # Nor does the cookie help whoever kept it.
    with site.gateway.client(cookies={session["name"]: session["value"]}) as thief:
        until(lambda: thief.get(site.gateway.prefix(site.task)).status_code == 401)
    alice.open(link)
    expect(alice.page.locator("input[name=password]")).to_be_visible()


@pytest.mark.parametrize(
    "browser_of",
    [
        {"java_script_enabled": False},
        {"viewport": {"width": 360, "height": 640}, "has_touch": True},
        {"color_scheme": "dark"},
    ],
    ids=["no scripts", "phone", "dark"],
)
def test_log_in_and_list_work_with(site, browser, browser_of):
    alice = browser.visitor(**browser_of)
    alice.open(site.gateway.console_url or site.gateway.url)
    alice.log_in("alice")
    expect(alice.page.get_by_text("a task of alice").first).to_be_visible()
    link = alice.page.get_by_role("link", name=re.compile("a task of alice")).first
    width = alice.page.viewport_size["width"]
    if browser_of.get("java_script_enabled", True):
        assert alice.page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out"
    if browser_of.get("color_scheme") == "dark":
        color = alice.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(int(part) for part in re.findall(r"\d+", color)[:3]) < 80, color
    link.click()
    expect(alice.page.locator("h1", has_text="The echo")).to_be_visible()


def test_the_list_shows_what_the_visitor_may_see_and_no_more(site, browser):
    site.emulator.asking("carol", free_port(), name="a task of carol")
    home = site.gateway.console_url or site.gateway.url
    bob = browser.visitor()
    bob.open(home)
    bob.log_in("bob")
    expect(bob.page.get_by_text("a task of alice").first).to_be_visible()
    assert "carol" not in bob.text()
    carol = browser.visitor()
    carol.open(home)
    carol.log_in("carol")
    carol.page.wait_for_load_state()
    assert "a task of alice" not in carol.text()
    assert site.task not in carol.page.content()


def test_hostile_names_of_tasks_are_shown_as_they_are(site, browser):
    for name in NAMES.values():
        # Each has an address of its own: of two tasks at one address the newer would take over.
        site.gateway.published(site.emulator.asking("alice", free_port(), name=name))
    alice = browser.visitor()
    alice.open(site.gateway.console_url or site.gateway.url)
    alice.log_in("alice")
    expect(alice.page.get_by_text("a task of alice").first).to_be_visible()
    shown = alice.text()
    for kind in ("a script", "an attribute", "a template", "emoji"):
        assert NAMES[kind] in shown, kind
    assert alice.page.evaluate("window.hacked") is None
    assert len(shown) < 20_000, "a name is cut"
    assert alice.page.evaluate("document.documentElement.scrollWidth") <= alice.page.viewport_size["width"]
