"""A long-lived process that runs its case when told to; see bench/peers/ours for the protocol."""

import json
import subprocess


class Ended(Exception):
    """The process ended without an answer; why is on its standard error."""


class Process:
    def __init__(self, command, environment):
        self.child = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.name = " ".join(map(str, command))
        self.megabytes = 0.0

    def ready(self):
        """Waits until the case is prepared and warm; returns what the process says of itself."""
        return self._answer()

    def run(self, n):
        """Milliseconds of a run, the mean of n."""
        print(n, file=self.child.stdin, flush=True)
        answer = self._answer()
        self.megabytes = answer["mb"]
        return answer["ms"]

    def _answer(self):
        line = self.child.stdout.readline()
        if not line:
            raise Ended(f"{self.name} ended with code {self.child.wait()}")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.wait()
