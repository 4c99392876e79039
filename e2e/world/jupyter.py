"""JupyterLab as anybody starts it, and somebody who works in it."""

import json

import httpx

from .namespace import WORKER
from .process import Process, clean_env
from .programs import JUPYTER
from .wait import until

_NOTEBOOK = {
    "cells": [{"cell_type": "code", "execution_count": None, "id": "first", "metadata": {}, "outputs": [], "source": ""}],
    "metadata": {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


class Jupyter:
    """One `jupyter lab` that knows its path. Its own token is off, as in a task: the gateway is the guard."""

    def __init__(self, directory, task, port):
        files = directory / "notebooks"
        home = directory / "home-of-jupyter"
        for made in (files, home):
            made.mkdir(parents=True)
        (files / "work.ipynb").write_text(json.dumps(_NOTEBOOK))
        self.prefix = f"/service/{task}/"
        self.process = Process(
            f"jupyter-{port}",
            [
                *(JUPYTER, "lab", f"--ServerApp.base_url={self.prefix}", "--ip=0.0.0.0", f"--port={port}"),
                *("--no-browser", "--allow-root", "--IdentityProvider.token=", f"--ServerApp.root_dir={files}"),
            ],
            directory,
            # The kernel is a program found on the path.
            env=clean_env(HOME=home, PATH=f"{JUPYTER.parent}:/usr/local/bin:/usr/bin:/bin"),
        )
        self._api = f"http://{WORKER}:{port}{self.prefix}api"

    def wait(self):
        """Waits until it answers."""

        def answers():
            self.process.must_run()
            try:
                return httpx.get(self._api, trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        until(answers, within=60, what="JupyterLab answers")
        return self

    def stop(self):
        """Ends it, kernels included."""
        self.process.stop()


class Notebook:
    """The notebook `work.ipynb`, open in a visitor's browser."""

    def __init__(self, visitor):
        self.visitor = visitor
        self.page = visitor.page
        self._cell = self.page.locator(".jp-Notebook .jp-CodeCell").first

    @staticmethod
    def path():
        """Below the endpoint's prefix."""
        return "lab/tree/work.ipynb"

    def run(self, code, prints, within=60):
        """Writes code into the first cell, runs it, and waits for what it prints."""
        # The page calls a kernel idle that it has yet to connect to.
        until(lambda: any("/api/kernels/" in url for url in self.visitor.open_sockets()), within, "the kernel's WebSocket is open")
        idle = self.page.locator(".jp-NotebookPanel .jp-Notebook-ExecutionIndicator[data-status=idle]")
        idle.wait_for(timeout=within * 1000)
        editor = self._cell.locator(".cm-content")

        def is_written():
            # While the notebook is still being set up, the editor forgets what was written.
            editor.fill(code)
            return editor.inner_text() == code

        until(is_written, within=within, what="the cell keeps what is written")
        editor.press("Control+Enter")
        self._cell.locator(".jp-OutputArea-output").filter(has_text=prints).wait_for(timeout=within * 1000)

    def kernel_sockets(self):
        """The kernel's WebSockets that were closed, with their codes."""
        return [(url, code) for url, code in self.visitor.closes() if "/api/kernels/" in url]
