"""What runs in a task's pod: JupyterLab with one notebook, below the path that the task's endpoint has."""

import pathlib
import subprocess
import sys

import nbformat
from clearml import Task

PORT = 8888

task = Task.init(project_name="cluster", task_name="notebook")
files = pathlib.Path("/root/notebooks")
files.mkdir(parents=True)
kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell()], metadata={"kernelspec": kernel})
nbformat.write(notebook, files / "work.ipynb")
lab = subprocess.Popen(
    [
        *(sys.executable, "-m", "jupyterlab", f"--ServerApp.base_url=/service/{task.id}/", "--ip=0.0.0.0", f"--port={PORT}"),
        *("--no-browser", "--allow-root", "--IdentityProvider.token=", f"--ServerApp.root_dir={files}"),
    ]
)
task.request_external_endpoint(PORT, protocol="http", wait=True)
lab.wait()
