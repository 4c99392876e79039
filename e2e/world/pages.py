"""What the pages of docs/how-to show and tell to type."""

import re

from .programs import ROOT


def blocks(page, language):
    """The page's fenced blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def commands(page):
    """What the page tells to type."""
    return [line.removeprefix("$ ") for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]


def output(page, command):
    """The lines that the page shows below a command, as patterns: what differs each time is written as `…` there."""
    (block,) = (block for block in blocks(page, "console") if f"$ {command}\n" in block)
    _, below = block.split(f"$ {command}\n")
    shown = below.split("$ ")[0].splitlines()
    return [re.escape(line).replace("…", r"\S+") for line in shown]
