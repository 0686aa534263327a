"""A stand-in for a cluster, which the real client of Kubernetes talks to: the API server, and the bot's two Services.

It keeps one bot, `demo`: its InferenceService, what KServe makes of it, and whatever is created. What a model does when
it runs stands in `models`. Cluster names are no names here, so `http://demo` is reached through HTTP_PROXY.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes

from jobs.kubernetes.client import Cluster, api_client
from tests.loopback import at_work

NOW = "2026-01-01T00:00:00Z"


@dataclass
class Model:
    """How a model behaves when it is served."""

    loads: bool = True
    said: tuple[str, str] = ("", "")
    """What its container said in the life before, and says in this one, where it does not load."""
    exit_code: int = 1
    container: str = "kserve-container"
    waits: str = ""
    """What the scheduler says, where the pod cannot be placed."""
    status: int = 200
    text: str = " a text"
    tells: bool = True
    """Whether its server tells the model's id."""
    seconds: float = 0.0


@dataclass
class StandIn:
    """The state of the cluster."""

    url: str = ""
    bucket: str = ""
    model: str = "none"
    """The model that the InferenceService names."""
    canary: dict[str, Any] | None = None
    """Its spec.canary[0]."""
    answers: str = "none"
    """The model whose pods the Service `demo` sends requests to: the last that was rolled out."""
    replicas: Callable[[], int] = lambda: 1
    """How many pods somebody else, such as KEDA, wants for the model that serves."""
    models: dict[str, Model] = field(default_factory=dict)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What else there is, by its path."""
    asked: list[str] = field(default_factory=list)
    """Each request: method, path or address, and the model that a patch names."""
    fail: Callable[[str], int | None] = lambda _: None
    """An HTTP status to answer a request with, instead of doing it."""
    after: Callable[[str], None] = lambda _: None
    """Called when a request was done, before it is answered."""

    def behaviour(self, model: str) -> Model:
        return self.models.setdefault(model, Model())

    def names(self, service: str) -> str:
        """The model that is to run behind a Service."""
        if service == "demo":
            return self.answers
        assert self.canary is not None
        return _id(self.canary["predictor"]["model"]["storageUri"])

    # --- the API server

    def inference_service(self) -> dict[str, Any]:
        predictor = {"labels": {}, "model": {"storageUri": f"{self.bucket}/demo/models/{self.model}"}}
        spec = {"predictor": predictor, **({"canary": [self.canary]} if self.canary else {})}
        return {"metadata": {"name": "demo"}, "spec": spec}

    def patch(self, body: dict[str, Any]) -> None:
        """A merge patch of the InferenceService, and what KServe does then."""
        spec = body["spec"]
        if "canary" in spec:
            self.canary = spec["canary"][0] if spec["canary"] else None
        if "predictor" in spec:
            self.model = _id(spec["predictor"]["model"]["storageUri"])
            if self.behaviour(self.model).loads:
                self.answers = self.model

    def deployment(self, name: str) -> dict[str, Any] | None:
        if "canary" in name and not self.canary:
            return None
        model = _id(self.canary["predictor"]["model"]["storageUri"]) if "canary" in name and self.canary else self.model
        replicas = 1 if "canary" in name else self.replicas()
        ready = int(self.behaviour(model).loads) and replicas
        status = {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": ready, "availableReplicas": ready}
        template = {"metadata": {}, "spec": self._pod_spec(model)}
        return {
            "metadata": {"name": name, "generation": 1},
            "spec": {"replicas": replicas, "selector": {}, "template": template},
            "status": status,
        }

    def _pod_spec(self, model: str) -> dict[str, Any]:
        uri = f"{self.bucket}/demo/models/{model}"
        return {
            "initContainers": [{"name": "storage-initializer", "args": [uri, "/mnt/models"]}],
            "containers": [{"name": "kserve-container"}],
        }

    def pod(self, selector: str) -> dict[str, Any] | None:
        if "component=canary" in selector and not self.canary:
            return None
        canary = "component=canary" in selector
        model = self.names("canary") if canary else self.model
        behaviour = self.behaviour(model)
        ended = {"exitCode": behaviour.exit_code, "reason": "Error"}
        broken = {"restartCount": 3, "lastState": {"terminated": ended}, "state": {"running": {"startedAt": NOW}}}
        fine = {"restartCount": 0, "lastState": {}, "state": {"running": {"startedAt": NOW}}}

        def status(name: str) -> dict[str, Any]:
            fails = not behaviour.loads and not behaviour.waits and behaviour.container == name
            return {"name": name, "image": "i", "imageID": "i", "ready": not fails, **(broken if fails else fine)}

        condition = {"type": "PodScheduled", "status": "False", "message": behaviour.waits}
        return {
            "metadata": {"name": f"pod-{model}", "creationTimestamp": NOW},
            "spec": self._pod_spec(model),
            "status": {
                "phase": "Running",
                "conditions": [condition] if behaviour.waits else [],
                "initContainerStatuses": [status("storage-initializer")],
                "containerStatuses": [] if behaviour.waits else [status("kserve-container")],
            },
        }


def cluster_at(url: str) -> Cluster:
    """The client of the cluster at `url`, as a pod of it has it."""
    kubernetes.client.Configuration.set_default(kubernetes.client.Configuration(host=url))
    return Cluster(api_client(), "bots", inside=True)


def _id(uri: str) -> str:
    return uri.rpartition("/")[2]


@contextmanager
def running() -> Iterator[StandIn]:
    """The cluster on a free port."""
    state = StandIn()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer sent in two parts waits 40 ms for the client's acknowledgement of the first

        def log_message(self, *_: Any) -> None: ...

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            parts = urlsplit(self.path)
            host = parts.hostname if parts.hostname != "127.0.0.1" else None
            what = f"{self.command} {host or ''}{parts.path}"
            if self.command == "PATCH":
                what += " " + ("canary" if "canary" in body["spec"] else self._named(body))
            with lock:
                state.asked.append(what)
            if status := state.fail(what):
                self._answer(status, {"message": f"no luck with {what}"})
                return
            status, found = self._service(host, parts.path) if host else self._api(parts.path, parts.query, body)
            state.after(what)
            self._answer(status, found)

        do_GET = do_POST = do_PATCH = do_DELETE = _do

        @staticmethod
        def _named(body: dict[str, Any]) -> str:
            return _id(body["spec"]["predictor"]["model"]["storageUri"])

        def _service(self, host: str, path: str) -> tuple[int, Any]:
            model = state.names(host)
            behaviour = state.behaviour(model)
            time.sleep(behaviour.seconds)
            if path.startswith("/v2/models"):
                return 200, {"name": "demo", "versions": [model] if behaviour.tells else None}
            if behaviour.status != 200:
                return behaviour.status, {"error": f"{model} is broken"}
            return 200, {"choices": [{"text": behaviour.text, "finish_reason": "length"}]}

        def _api(self, path: str, query: str, body: Any) -> tuple[int, Any]:
            asked = {name: values[0] for name, values in parse_qs(query).items()}
            if path.endswith("/inferenceservices/demo"):
                if self.command == "PATCH":
                    assert self.headers["Content-Type"] == "application/merge-patch+json"
                    state.patch(body)
                return 200, state.inference_service()
            if match := re.search(r"/deployments/(.+)$", path):
                found = state.deployment(match[1])
                return (200, found) if found else (404, {"message": "not found"})
            if match := re.search(r"/pods/pod-(.+)/log$", path):
                said = state.behaviour(match[1]).said
                return 200, said[0 if asked.get("previous", "").lower() == "true" else 1]
            if path.endswith("/pods") and "component=" in asked.get("labelSelector", ""):
                pod = state.pod(asked["labelSelector"])
                return 200, {"items": [pod] if pod else []}
            return self._other(path, body)

        def _other(self, path: str, body: Any) -> tuple[int, Any]:
            if self.command == "POST":
                name = body["metadata"].get("name") or f"{body['metadata']['generateName']}1"
                body["metadata"]["name"] = name
                state.objects[f"{path}/{name}"] = body
                state.after(f"made {path}/{name}")
                return 201, body
            found = {name: thing for name, thing in state.objects.items() if re.fullmatch(f"{path}/[^/]+", name)}
            if self.command == "DELETE":
                gone = state.objects.pop(path, None)
                return (200, {}) if gone else (404, {"message": "not found"})
            if path in state.objects or (path.endswith("/status") and path.removesuffix("/status") in state.objects):
                return 200, state.objects[path.removesuffix("/status")]
            last = path.rpartition("/")[2]
            return (200, {"items": list(found.values())}) if last.endswith("s") else (404, {"message": "not found"})

        def _answer(self, status: int, found: Any) -> None:
            data = found.encode() if isinstance(found, str) else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(found, str) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that was killed
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    with at_work(server):
        yield state
