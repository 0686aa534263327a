"""People who ask the tweet API, in pods of the cluster."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster import kube
from tests.cluster.kube import RELEASE, kubectl

ASK = Path(__file__).with_name("ask.py").read_text("utf-8")


@dataclass(frozen=True)
class Told:
    """What somebody was told."""

    ok: bool
    seconds: float
    texts: list[str] = field(default_factory=list)
    waits: list[tuple[str, float]] = field(default_factory=list)
    """Each time that it was not written yet: the phase, and since how many seconds."""
    why: str = ""
    """There are no texts."""

    @classmethod
    def read(cls, line: str) -> "Told":
        word, seconds, what = line.split(maxsplit=2)
        if word != "ok":
            return cls(False, float(seconds), why=what)
        said = json.loads(what)
        return cls(True, float(seconds), said["texts"], [(phase, at) for phase, at in said["waits"]])


def player(name: str, namespace: str, image: str, *arguments: object) -> dict[str, Any]:
    command = ["python", "-c", ASK, f"http://{RELEASE}-play.{namespace}", *map(str, arguments)]
    return kube.pod(name, image, command)


def play(namespace: str, image: str, prompt: str, times: int = 1, wait: float = 40) -> list[Told]:
    """Ask for a prompt, so often at once; each until it is answered."""
    (said,) = kube.run_pods(namespace, player("player", namespace, image, times, wait, prompt))
    return [Told.read(line) for line in said.splitlines()]


@contextmanager
def playing(namespace: str, image: str, prompt: str) -> Iterator[list[Told]]:
    """Somebody who asks without pause while the block runs; what was told is in the list at the end."""
    told: list[Told] = []
    kubectl(
        namespace, "create", "-f", "-", stdin=json.dumps(player("plays", namespace, image, "until-told", 5, prompt))
    )
    try:
        kube.wait("the first answers", lambda: len(kubectl(namespace, "logs", "plays").splitlines()) > 3)
        yield told
        whole, _, _ = kubectl(namespace, "logs", "plays").rpartition("\n")
        told.extend(Told.read(line) for line in whole.split("\n"))
    finally:
        kubectl(namespace, "delete", "pod", "plays", "--wait=true")
