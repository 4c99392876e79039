"""Waiting for conditions, never for time."""

import time
import warnings


def until(condition, within=30.0, what=None):
    """Asks `condition` until it answers with something true, and returns that.

    An `AssertionError` or `OSError` counts as "not yet"; after `within` seconds it is the failure's cause.
    """
    end = time.monotonic() + within
    while True:
        cause = None
        try:
            answer = condition()
        except (AssertionError, OSError) as error:
            answer, cause = None, error
        if answer:
            return answer
        if time.monotonic() > end:
            told = what or getattr(condition, "__doc__", None) or "the condition"
            raise AssertionError(f"{told}: not within {within:g} s; last answer: {answer!r}") from cause
        time.sleep(0.02)


class Stopwatch:
    """How long something took, for promises that name a time."""

    def __init__(self):
        self.start = time.monotonic()

    @property
    def seconds(self):
        """Since the start."""
        return time.monotonic() - self.start


def noted(seconds, promised):
    """Tells of a promise that was not kept in time. No failure: how long it took says as much about the machine as about
    the gateway, and `cargo xtask bench publish` measures it. What never happens fails by its own deadline."""
    if seconds > promised:
        warnings.warn(f"promised within {promised} s, took {seconds:.1f} s", stacklevel=2)
