"""What runs in a task's pod: somebody's application, which asks for an endpoint as the SDK's documentation says."""

import http.server
import json
import socket
import threading
import time

from clearml import Task

SAID = {}


class Application(http.server.BaseHTTPRequestHandler):
    """Tells what became of the request for an endpoint."""

    def do_GET(self):  # noqa: N802 (the name is the library's)
        """Answers with it."""
        body = json.dumps(SAID).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


task = Task.init(project_name="cluster", task_name="answers")
server = http.server.ThreadingHTTPServer(("", 9000), Application)
threading.Thread(target=server.serve_forever).start()
asked = time.monotonic()
answer = task.request_external_endpoint(9000, protocol="http", wait=True, wait_interval_seconds=0.1)
SAID.update(answer=answer, seconds=time.monotonic() - asked, host=socket.gethostname())
