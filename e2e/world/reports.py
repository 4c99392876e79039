"""What a failing test shows besides itself."""

import pytest

from . import process


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds what all programs wrote, and what the browser showed, to the report of a failure."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for running in process.RUNNING:
        for stream, text in (("stdout", running.stdout()), ("stderr", running.stderr())):
            # The emulator's first line introduces its actors; that is the same in all of them.
            if text.strip() and not (running.name.startswith("emulator") and text.count("\n") == 1):
                report.sections.append((f"{running.name} {stream} (its end)", text[-6000:]))
    browser = item.funcargs.get("browser")
    for page in browser.pages() if browser and call.when == "call" else []:
        try:
            report.sections.append((f"browser at {page.url}", page.inner_text("body", timeout=1000)[:3000]))
        except Exception as error:  # a page that cannot be read must not hide the failure
            report.sections.append((f"browser at {page.url}", str(error)))
