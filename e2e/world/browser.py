"""The browser: Debian's Chromium."""

import base64
import re

from playwright.sync_api import expect, sync_playwright

from .namespace import GATEWAY
from .programs import CHROMIUM

# For whatever a page is waited for, in milliseconds.
PATIENCE = 60_000

# Close codes of WebSockets are not in the driver's events, so pages note them themselves.
_NOTE_SOCKETS = """
(() => {
    const Native = WebSocket;
    window.sockets = [];
    window.closes = [];
    window.WebSocket = class extends Native {
        constructor(...given) {
            super(...given);
            window.sockets.push(this);
            this.addEventListener('close', event => window.closes.push([this.url, event.code]));
        }
    };
})();
"""


class Browser:
    """One Chromium for the whole run; each visitor has cookies of their own."""

    def __init__(self, program=CHROMIUM):
        self._driver = sync_playwright().start()
        self._chromium = self._driver.chromium.launch(
            executable_path=program,
            # It runs as root, in a namespace without a resolver.
            args=["--no-sandbox", f"--host-resolver-rules=MAP *.test {GATEWAY}"],
        )
        self._visitors = []
        # Its own patience, which no page's default changes, is 5 s: too short on a busy machine.
        expect.set_options(timeout=PATIENCE)

    def visitor(self, **options):
        """Somebody with a fresh browser."""
        visitor = Visitor(self._chromium.new_context(ignore_https_errors=True, **options))
        self._visitors.append(visitor)
        return visitor

    def dismiss(self):
        """Closes all visitors' browsers."""
        for visitor in self._visitors:
            visitor.context.close()
        self._visitors.clear()

    def pages(self):
        """What is open now, for a failing test's report."""
        return [page for visitor in self._visitors for page in visitor.context.pages]

    def quit(self):
        """Ends Chromium."""
        self._chromium.close()
        self._driver.stop()


class Visitor:
    """Somebody with a browser."""

    def __init__(self, context):
        self.context = context
        context.set_default_timeout(PATIENCE)
        context.add_init_script(_NOTE_SOCKETS)
        self.page = context.new_page()

    def open(self, url):
        """Types the address; returns the answer to the last redirect."""
        return self.page.goto(url)

    def log_in(self, login, password=None):
        """Fills in the log-in page that is shown, and sends it."""
        page = self.page
        expect(page.locator("input[name=user]")).to_be_visible()
        page.fill("input[name=user]", login)
        page.fill("input[name=password]", password or f"{login}-pw")
        page.locator("input[name=password]").locator("xpath=ancestor::form").locator("button[type=submit], input[type=submit]").click()

    def enter(self, url, login):
        """Opens an address as somebody who has to log in first; what is shown afterwards is the address, or a refusal there."""
        self.open(url)
        self.log_in(login)
        self.is_at(url)

    def is_at(self, url):
        """Waits until the address bar shows it; what an application adds behind it does not matter."""
        expect(self.page).to_have_url(re.compile(re.escape(url.split("?")[0])))

    def go_on(self):
        """Presses Continue on the page that warns of somebody else's endpoint."""
        self.page.get_by_role("button", name="Continue").click()

    def log_in_at_clearml(self, emulator, login, host=GATEWAY):
        """Logs in at the ClearML server as its web application does: the cookie is ClearML's own."""
        basic = base64.b64encode(f"{login}:{emulator.password(login)}".encode()).decode()
        # From a page, because only Chromium knows the names of hosts here.
        self.open(f"http://{host}:{emulator.port}/debug.ping")
        status = self.page.evaluate(
            "async given => (await fetch('/auth.login', {method: 'POST', headers: {Authorization: given}})).status", f"Basic {basic}"
        )
        assert status == 200
        assert "clearml_token_basic" in self.cookies(), self.cookies()

    def cookies(self):
        """All cookies by name."""
        return {cookie["name"]: cookie for cookie in self.context.cookies()}

    def session_cookie(self):
        """The cookie of Portico's session, if there is one."""
        found = [cookie for name, cookie in self.cookies().items() if re.fullmatch(r"(__Host-)?portico-session-[0-9a-f]{8}", name)]
        return found[0] if found else None

    def text(self):
        """The words on the page."""
        return self.page.inner_text("body")

    def open_sockets(self):
        """The addresses of the page's WebSockets that are open."""
        return self.page.evaluate("window.sockets.filter(socket => socket.readyState === WebSocket.OPEN).map(socket => socket.url)")

    def closes(self):
        """The WebSockets of the page that were closed: address and code."""
        return [tuple(entry) for entry in self.page.evaluate("window.closes")]
