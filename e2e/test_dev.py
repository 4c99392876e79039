"""What somebody sees who types the README's first command, and opens what it prints."""

import re

import pytest
from playwright.sync_api import expect
from world.process import Process, clean_env
from world.programs import ROOT
from world.wait import until

COMMAND = "cargo xtask dev"


@pytest.fixture(scope="module")
def dev(shared_place):
    """The command of the README, which goes on until it is interrupted; what it prints."""
    env = clean_env(CARGO_NET_OFFLINE="true", HOME=None)
    process = Process("dev", COMMAND.split(), shared_place.directory / "dev", env=env, cwd=ROOT)
    shared_place.keep(process)

    def printed():
        process.must_run()
        text = process.output()
        return text if re.search(r"alice-pw", text) and re.search(r"https?://\S+", text) else None

    until(printed, within=240, what="it prints what to open and who may log in")
    return process


def address(dev):
    """The URL that it prints to be opened."""
    return re.search(r"https?://[^\s/]+(?:/\S*)?", dev.stdout()).group()


def enter(browser, dev, login):
    """Opens the printed URL and logs in with the printed password."""
    assert f"{login}-pw" in dev.stdout()
    visitor = browser.visitor()
    visitor.open(address(dev))
    visitor.log_in(login)
    expect(visitor.page.get_by_role("heading", name="Endpoints")).to_be_visible()
    return visitor


def open_sample(visitor, name):
    """Opens a sample by its link in the list; the one that is somebody else's comes with a warning."""
    visitor.page.get_by_role("link", name=re.compile(name, re.IGNORECASE)).first.click()
    visitor.page.wait_for_load_state()
    if "/_gateway/continue" in visitor.page.url:
        visitor.go_on()
    return visitor.page


def test_the_page_that_shows_the_request_shows_it(dev, browser):
    alice = enter(browser, dev, "alice")
    page = open_sample(alice, "arrived|request|headers")
    expect(page.get_by_text("x-forwarded-prefix", exact=False).first).to_be_visible()
    shown = alice.text().lower()
    assert "portico-session" not in shown and "eyj" not in shown


def test_two_people_chat(dev, browser):
    alice, again = (enter(browser, dev, "alice") for _ in range(2))
    for visitor in (alice, again):
        open_sample(visitor, "chat")
        expect(visitor.page.get_by_text("connected", exact=True)).to_be_visible()
    alice.page.get_by_label("Line to send").fill("hello over there")
    alice.page.get_by_role("button", name="Send").click()
    expect(again.page.get_by_text("hello over there")).to_be_visible()


def test_the_clock_ticks(dev, browser):
    page = open_sample(enter(browser, dev, "alice"), "clock")
    expect(page.get_by_text("event 2 of this connection", exact=False)).to_be_visible()


def test_the_upload_counts(dev, browser, tmp_path):
    page = open_sample(enter(browser, dev, "alice"), "upload")
    file = tmp_path / "some.bin"
    file.write_bytes(b"x" * 3_000_000)
    page.get_by_label("File to send").set_input_files(file)
    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_text("3000000 bytes", exact=False)).to_be_visible()


def test_a_colleague_is_warned_and_another_company_sees_nothing(dev, browser):
    bob = enter(browser, dev, "bob")
    bob.page.get_by_role("link", name=re.compile("chat", re.IGNORECASE)).first.click()
    expect(bob.page.get_by_role("button", name="Continue")).to_be_visible()
    carol = enter(browser, dev, "carol")
    expect(carol.page.get_by_text("Nothing here yet")).to_be_visible()
    assert "alice" not in carol.text().lower()
