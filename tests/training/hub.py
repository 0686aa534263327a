"""A stand-in for the Hugging Face Hub that takes models, as its client sends them: large files by Git LFS."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.loopback import served_by

TOKEN = "hf_right"
OWNER = "me"


@dataclass
class Repository:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


@dataclass
class Hub:
    """What it was told. Only OWNER's repositories may be written, with TOKEN."""

    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    """LFS objects by SHA-256."""
    requests: list[str] = field(default_factory=list)

    def oid(self, data: bytes) -> str:
        """Git's name of a file, or LFS's."""
        if is_large(data):
            return hashlib.sha256(data).hexdigest()
        return hashlib.sha1(b"blob %d\0%s" % (len(data), data)).hexdigest()


def is_large(data: bytes) -> bool:
    return b"\0" in data[:512]


@contextmanager
def hub_at_work() -> Iterator[Hub]:
    """The stand-in on loopback, while a block needs it."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def do_PUT(self) -> None:
            self.answer()

        def answer(self) -> None:
            path = urlsplit(self.path).path
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            hub.requests.append(f"{self.command} {path}")
            status, said = self.say(path, body)
            data = json.dumps(said).encode()
            self.send_response(status)
            if status == 401:
                self.send_header("X-Error-Message", "Invalid credentials in Authorization header")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def say(self, path: str, body: bytes) -> tuple[int, Any]:
            if path.startswith("/large/"):  # a signed address: no token
                assert hashlib.sha256(body).hexdigest() == path.rpartition("/")[2]
                hub.large[path.rpartition("/")[2]] = body
                return 200, {}
            if path == "/api/validate-yaml":
                front = json.loads(body)["content"].split("---\n")[1]
                errors = [] if isinstance(yaml.safe_load(front), dict) else [{"message": "no front matter"}]
                return 200, {"errors": errors, "warnings": []}
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return 401, {"error": "Invalid username or password."}
            kind = str(self.headers.get("Content-Type"))
            asked = json.loads(body) if body and kind.endswith("json") and "ndjson" not in kind else {}
            if path == "/api/repos/create":
                return self.create(asked)
            owner, name, *rest = (
                path.removeprefix("/api/models").removesuffix(".git/info/lfs/objects/batch")[1:].split("/")
            )
            repository = hub.repositories.get(f"{owner}/{name}")
            if repository is None:
                return 404, {"error": "Repository not found"}
            match rest:
                case []:
                    if path.endswith("/batch"):
                        return 200, {"objects": [self.upload(each) for each in asked["objects"]]}
                    return self.info(f"{owner}/{name}", repository)
                case ["revision", "main"]:
                    return self.info(f"{owner}/{name}", repository)
                case ["preupload", "main"]:
                    return 200, {"files": [self.mode(repository, each) for each in asked["files"]]}
                case ["commit", "main"]:
                    return self.commit(repository, f"{owner}/{name}", body)
            return 404, {"error": path}

        def create(self, asked: dict[str, Any]) -> tuple[int, Any]:
            full = f"{asked['organization']}/{asked['name']}"
            if asked["organization"] != OWNER:
                return 403, {"error": "You don't have the rights to create a model under this namespace"}
            address = {"url": f"{hub.address}/{full}", "name": full, "id": full}
            if full in hub.repositories:
                return 409, {"error": "You already created this model repo", **address}
            hub.repositories[full] = Repository(asked.get("visibility") == "private")
            return 200, address

        def info(self, full: str, repository: Repository) -> tuple[int, Any]:
            return 200, {"id": full, "private": repository.private, "sha": f"{len(repository.commits):040x}"}

        def mode(self, repository: Repository, asked: dict[str, Any]) -> dict[str, Any]:
            large = is_large(base64.b64decode(asked["sample"]))
            there = repository.files.get(asked["path"])
            oid = None if there is None else hub.oid(there)
            mode = "lfs" if large else "regular"
            return {"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}

        def upload(self, asked: dict[str, Any]) -> dict[str, Any]:
            if asked["oid"] in hub.large:
                return asked
            return {**asked, "actions": {"upload": {"href": f"{hub.address}/large/{asked['oid']}"}}}

        def commit(self, repository: Repository, full: str, body: bytes) -> tuple[int, Any]:
            header, *operations = map(json.loads, body.splitlines())
            for operation in operations:
                value = operation["value"]
                if operation["key"] == "file":
                    repository.files[value["path"]] = base64.b64decode(value["content"])
                else:
                    repository.files[value["path"]] = hub.large[value["oid"]]
            repository.commits.append(header["value"]["summary"])
            oid = f"{len(repository.commits):040x}"
            return 200, {"commitUrl": f"{hub.address}/{full}/commit/{oid}", "commitOid": oid}

        def log_message(self, *_: object) -> None: ...

    with served_by(Handler) as hub.address:
        yield hub
