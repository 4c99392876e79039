"""What runs in a task's process: the SDK as it is, told what to do by lines of JSON.

The SDK writes to standard output, so answers go to a descriptor of their own.
"""

import json
import os
import sys
import time

from clearml import Task


class Program:
    """One task."""

    def __init__(self):
        self.task = None

    def init(self, project, name):
        """`Task.init`."""
        self.task = Task.init(project_name=project, task_name=name)
        return self.task.id

    def request(self, port, name, wait, protocol):
        """`request_external_endpoint`; a name only where one is given, as users write it. With the seconds it took."""
        named = {"endpoint_name": name} if name else {}
        start = time.monotonic()
        answer = self.task.request_external_endpoint(port, protocol=protocol, wait=wait, wait_interval_seconds=0.1, **named)
        return {"answer": answer, "seconds": time.monotonic() - start}

    def listed(self):
        """`list_external_endpoints`."""
        self.task.reload()
        return self.task.list_external_endpoints()

    def runtime(self, values):
        """What users of the open-source server write instead of the request: the runtime keys, then the tag."""
        self.task._set_runtime_properties(values)
        self.task.set_system_tags([*(self.task.get_system_tags() or []), "external_service"])

    def properties(self, values):
        """`set_user_properties`."""
        return self.task.set_user_properties(**values)

    def report(self, value):
        """Reports a number and the progress, which writes the whole runtime dictionary."""
        self.task.get_logger().report_scalar("e2e", "value", value, iteration=1)
        self.task.set_progress(value)
        self.task.flush(wait_for_uploads=True)

    def close(self):
        """`Task.close`."""
        self.task.close()


def main():
    """Reads a line, does it, answers with a line."""
    answers = os.fdopen(int(sys.argv[1]), "w")
    program = Program()
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"value": getattr(program, order.pop("what"))(**order)}
        except Exception as error:  # whatever the SDK raises is the test's to judge
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
