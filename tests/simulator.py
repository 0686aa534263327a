"""A simulator in a process of its own, as its verb starts it."""

import os
import signal
import subprocess
import sys
from pathlib import Path


class Simulator:
    """A running `mynah VERB`. `said` are the lines that it printed, `env` the variables that they set."""

    def __init__(self, verb: str, home: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mynah", verb, "--port", "0", *arguments],
            env=os.environ | {"MYNAH_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.said = []
        while line := self.process.stdout.readline().strip():
            self.said.append(line)
        self.env = dict(line.removeprefix("export ").split("=") for line in self.said[1:])
        self.url = next(iter(self.env.values()), "")  # the first: where it is

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        self.process.communicate(timeout=20)
        return self.process.returncode
