"""Object storage: where things lie, and how a folder is written so that half of it is never taken for whole.

Layout, below the bucket's address:

    <bot>/raw/<source>/<utc>-<id>.jsonl.zst    a page of scraped documents, and the cursor that follows them
    <bot>/raw/<source>/.cursor .ids            what saves a scrape work: see scrapers/raw.py
    <bot>/followers/<source>/                  leaders' followers: see scrapers/cohort/pages.py
    <bot>/datasets/<id>/                       manifest dataset.json; train and dev texts, dataset.png,
                                               recitation.index (see mynah.recitation), sides.bin (training.sides)
    <bot>/runs/<id>/                           Ray Train's checkpoints
    <bot>/models/<id>/                         manifest model.json; the model, README.md (its card), training.png,
                                               history.jsonl (every step), runs/ (the same for TensorBoard)
    <bot>/evaluations/<id>/<current>.json      a model beside the one that was current (see mynah.evaluations)
    <bot>/promotion.json                       0.2.0's note of what a cluster served and refused; read once, kept
    <bot>/logs/<pod>.txt                       what a cluster's training said, before mynah.database.runs kept it

A dataset or model folder is written once. Its manifest is written last and names every other file
with its size and hash: without a manifest the folder does not exist.
"""

import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from pyarrow import fs

from mynah.errors import MynahError, UsageError

MANIFESTS = {"datasets": "dataset.json", "models": "model.json"}
_ID_TIME = "%Y%m%dT%H%M%S"
_ID = re.compile(r"(\d{8}T\d{6})-[0-9a-f]{8}", re.ASCII)
_COPY_CHUNK = 8 << 20  # bytes read at once while copying and hashing


@dataclass(frozen=True)
class Bucket:
    """One bucket, or a folder in it. `url` is file:///path, a plain path, s3://bucket/prefix or gs://bucket/prefix.

    S3's endpoint, region and keys come from the AWS_* variables, Google's from its own.
    """

    url: str
    tries: int = 3
    """How often S3 is asked that does not answer. The pauses between double: 13 tries take 100 s."""

    @cached_property
    def _filesystem_and_root(self) -> tuple[fs.FileSystem, str]:
        scheme, separator, rest = self.url.partition("://")
        if not separator:
            return fs.LocalFileSystem(), str(Path(self.url).absolute())
        root = rest.rstrip("/")
        if scheme == "file":
            return fs.LocalFileSystem(), "/" + root.lstrip("/")
        if scheme == "s3" and root:
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
            retries = fs.AwsDefaultS3RetryStrategy(max_attempts=self.tries)
            region = region or "us-east-1"
            return fs.S3FileSystem(endpoint_override=endpoint, region=region, retry_strategy=retries), root
        if scheme == "gs" and root:
            return fs.GcsFileSystem(), root  # which goes on for 15 minutes by itself
        raise UsageError(f"MYNAH_BUCKET={self.url}: write file:///path, s3://bucket/prefix or gs://bucket/prefix")

    @property
    def filesystem(self) -> fs.FileSystem:
        """The pyarrow file system, as Ray Train's RunConfig(storage_filesystem=…) takes it."""
        return self._filesystem_and_root[0]

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def path(self, *parts: str) -> str:
        """The path of an object inside the file system."""
        return "/".join((self._filesystem_and_root[1], *parts))

    def address(self, *parts: str) -> str:
        """The full address of an object, for people and for KServe's storageUri."""
        return "/".join((self.url.rstrip("/"), *parts))

    def read(self, *parts: str) -> bytes:
        """One object's bytes. Raises FileNotFoundError where there is none."""
        with self._explained(), self.filesystem.open_input_file(self.path(*parts)) as stream:
            return bytes(stream.read())

    def open(self, *parts: str) -> BinaryIO:
        """One object, to be read in parts and sought in. Raises FileNotFoundError where there is none."""
        with self._explained():
            stream: BinaryIO = self.filesystem.open_input_file(self.path(*parts))
            return stream

    def write(self, data: bytes, *parts: str) -> None:
        """Write one object whole: a reader, or a crash at any moment, sees all of it or nothing."""
        path = self.path(*parts)
        with self._explained():
            # compression=None here and below: by itself pyarrow compresses again what is named *.zst.
            if not self.is_local:  # object stores show an object only when its upload has ended
                with self.filesystem.open_output_stream(path, compression=None) as stream:
                    stream.write(data)
                return
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
            try:
                with partial.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)

    def delete(self, *parts: str) -> None:
        """Delete a folder with all that is in it; nothing happens where there is none."""
        folder = self.path(*parts)
        with self._explained():
            found = self.filesystem.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
            # The deepest first: S3 servers that keep folders refuse to delete one that is not empty.
            for info in sorted(found, key=lambda info: -str(info.path).count("/")):
                if info.type == fs.FileType.Directory:
                    self.filesystem.delete_dir(info.path)
                else:
                    self.filesystem.delete_file(info.path)
            if self.filesystem.get_file_info(folder).type == fs.FileType.Directory:
                self.filesystem.delete_dir(folder)

    def names(self, *parts: str) -> list[str]:
        """The names directly inside a folder, sorted, without hidden ones; [] where there is no folder."""
        with self._explained():
            selector = fs.FileSelector(self.path(*parts), allow_not_found=True)
            found = self.filesystem.get_file_info(selector)
        return sorted(info.base_name for info in found if not info.base_name.startswith("."))

    def size(self, *parts: str) -> int:
        """The bytes of all that is in a folder; 0 where there is none."""
        with self._explained():
            selector = fs.FileSelector(self.path(*parts), recursive=True, allow_not_found=True)
            return sum(info.size or 0 for info in self.filesystem.get_file_info(selector))

    def publish(
        self,
        folder: Path,
        manifest: dict[str, Any],
        bot: str,
        kind: str,
        id: str,
        check: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Copy every file below `folder` to <bot>/<kind>/<id>/, then write the manifest, with the files' hashes.

        `kind` is a key of MANIFESTS. `check` is called before each object; what it raises ends the publishing.
        Returns the manifest as written.
        """
        files = {}
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            check()
            name = file.relative_to(folder).as_posix()
            files[name] = {"bytes": file.stat().st_size, "sha256": self.upload(file, bot, kind, id, name)}
        whole = {"id": id, "bot": bot, "created": utc_now(), **manifest, "files": files}
        check()
        self.write(json.dumps(whole, indent=1, ensure_ascii=False).encode(), bot, kind, id, MANIFESTS[kind])
        return whole

    def unpublish(self, bot: str, kind: str, id: str) -> None:
        """Delete a folder that was published: its manifest first, so that no part of it is ever taken for whole."""
        with self._explained(), suppress(FileNotFoundError):
            self.filesystem.delete_file(self.path(bot, kind, id, MANIFESTS[kind]))
        self.delete(bot, kind, id)

    def manifest(self, bot: str, kind: str, id: str) -> dict[str, Any] | None:
        """The manifest of a folder, or None where there is none: the folder does not exist then."""
        try:
            found: dict[str, Any] = json.loads(self.read(bot, kind, id, MANIFESTS[kind]))
        except FileNotFoundError:
            return None
        return found

    def manifests(self, bot: str, kind: str) -> Iterator[dict[str, Any]]:
        """The manifests of a bot's whole folders, newest first (ids begin with the UTC time)."""
        for id in reversed(self.names(bot, kind)):
            if manifest := self.manifest(bot, kind, id):
                yield manifest

    def fetch(self, folder: Path, bot: str, kind: str, id: str, names: Container[str] | None = None) -> Path:
        """A local copy of a whole folder: itself where the bucket is local, else downloaded to `folder`.

        With `names`, only those of its files are downloaded. Files already there with the manifest's size are not
        fetched again.
        Raises MynahError where the manifest is missing or a file is not what the manifest says.
        """
        manifest = self.manifest(bot, kind, id)
        if manifest is None:
            raise MynahError(f"{self.address(bot, kind, id)} has no {MANIFESTS[kind]}: it was never written whole")
        if self.is_local:
            return Path(self.path(bot, kind, id))
        for name, facts in manifest["files"].items():
            if names is not None and name not in names:
                continue
            target = folder / name
            if target.is_file() and target.stat().st_size == facts["bytes"]:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.partial")
            with (
                self._explained(),
                self.filesystem.open_input_stream(self.path(bot, kind, id, name), compression=None) as source,
            ):
                digest = _copy(source.read, partial)
            if digest != facts["sha256"]:
                partial.unlink()
                raise MynahError(f"{self.address(bot, kind, id, name)} is damaged: its hash is not the manifest's")
            partial.replace(target)
        (folder / MANIFESTS[kind]).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
        return folder

    def upload(self, file: Path, *parts: str) -> str:
        """Copy one local file into the bucket; returns its SHA-256 in hex. Half of it may be seen meanwhile."""
        path = self.path(*parts)
        with self._explained(), file.open("rb") as source:
            if self.is_local:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                return _copy(source.read, Path(path))
            with self.filesystem.open_output_stream(path, compression=None) as sink:
                digest = hashlib.sha256()
                while chunk := source.read(_COPY_CHUNK):
                    digest.update(chunk)
                    sink.write(chunk)
                return digest.hexdigest()

    def _explained(self) -> "_Explained":
        return _Explained(self.url)


class _Explained:
    """Turns the storage errors a person can mend into one line; a missing object stays FileNotFoundError."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        text = str(error)
        if "NoSuchBucket" in text or "The specified bucket does not exist" in text:
            raise MynahError(f"bucket {self.url} does not exist: create it, or set MYNAH_BUCKET") from None
        if "ACCESS_DENIED" in text or "InvalidAccessKeyId" in text or "SignatureDoesNotMatch" in text:
            raise MynahError(f"bucket {self.url} refuses these keys: check the AWS_* variables") from None
        if "NETWORK_CONNECTION" in text or "resolve" in text:
            raise MynahError(f"bucket {self.url} cannot be reached: check AWS_ENDPOINT_URL and the network") from None
        if isinstance(error, FileNotFoundError):
            return
        raise MynahError(f"bucket {self.url}: {text}") from None


def _copy(read: Callable[[int], bytes], target: Path) -> str:
    """Write what `read` gives to `target`; returns its SHA-256 in hex."""
    digest = hashlib.sha256()
    with target.open("wb") as file:
        while chunk := read(_COPY_CHUNK):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def utc_now() -> str:
    """The time as manifests hold it, e.g. 2026-11-21T09:30:00Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_id(inputs: Any) -> str:
    """An id that sorts by time and ends in a hash of what the thing is made from: 20261121T093000-1f2e3d4c.

    `inputs` is JSON data; equal inputs give an equal ending, so finished work is recognised.
    """
    return f"{datetime.now(UTC):{_ID_TIME}}-{fingerprint(inputs)}"


def time_of(id: str) -> int | None:
    """When the thing was made that has this id: Unix time. None where it is no id."""
    found = _ID.fullmatch(id)
    try:
        return int(datetime.strptime(found[1], _ID_TIME).replace(tzinfo=UTC).timestamp()) if found else None
    except ValueError:  # the 32nd of a month
        return None


def fingerprint(inputs: Any) -> str:
    """Eight hex digits of the SHA-256 of JSON data, keys sorted."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()[:8]
