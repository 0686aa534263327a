"""The content of a file, from wherever it lies."""

import importlib.util
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mynah.bucket import Bucket
from mynah.errors import MynahError
from mynah.settings import Settings
from scrapers.fetch import fetch

# What lies here is made by the kernel: a process's environment with its keys, disks, terminals.
KERNEL = (Path("/proc"), Path("/sys"), Path("/dev"))


@dataclass(frozen=True)
class Content:
    """A file, open at its beginning."""

    stream: BinaryIO | None
    """Can be sought in. None where the file is still the version that was named."""
    version: str | None = None
    """What an http server calls this version of it."""


@contextmanager
def opened(url: str, settings: Settings, version: str | None = None) -> Iterator[Content]:
    """What lies at `url`, while the context lasts. An http server is asked for it only if it is no longer `version`.

    Raises MynahError with one line where it is missing, may not be read, or breaks off.
    """
    try:
        try:
            content = _open(url, settings, version)
        except (RuntimeError, ValueError) as error:  # a loop of links, a NUL in a name
            raise MynahError(f"{url}: cannot be read: {error}") from None
        with content.stream or nullcontext():
            yield content
    except (FileNotFoundError, NotADirectoryError):
        raise MynahError(f"{url}: no such file: check the source's url") from None
    except PermissionError:
        raise MynahError(f"{url}: may not be read: check its permissions") from None
    except OSError as error:
        raise MynahError(f"{url}: cannot be read: {error.strerror or error}") from None


def _open(url: str, settings: Settings, version: str | None) -> Content:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return Content(_local(url, url, settings))
    if scheme == "file":
        return Content(_local(rest, url, settings))
    if scheme in ("http", "https"):
        fetched = fetch(url, settings.allow_private, version)
        return Content(None if fetched.body is None else io.BytesIO(fetched.body), fetched.version)
    if scheme in ("s3", "gs"):
        folder, _, name = url.rpartition("/")
        if not name or folder.endswith("/"):
            raise MynahError(f"{url}: names no file: write {scheme}://bucket/path/to/file")
        return Content(Bucket(folder).open(name))
    if scheme == "package":
        return Content(_regular(_package_file(rest), url))
    raise MynahError(f"{url}: nothing is read from {scheme}://; write a path, or http, https, s3, gs or package")


def _local(path: str, url: str, settings: Settings) -> BinaryIO:
    """A file of this machine: below MYNAH_DATA where that is set, and never one of the kernel's."""
    asked, root = Path(path).expanduser(), settings.data
    file = ((root / asked) if root else asked).resolve()  # from here on without links
    if root and not file.is_relative_to(root.resolve()):
        raise MynahError(f"{url}: lies outside of MYNAH_DATA={root}, the only folder that sources may read here")
    if any(file.is_relative_to(folder) for folder in KERNEL):
        raise MynahError(f"{url}: is no data file: nothing of /proc, /sys and /dev is read")
    return _regular(file, url)


def _regular(file: Path, url: str) -> BinaryIO:
    if file.is_dir():
        raise MynahError(f"{url}: is a folder: name one file in it")
    # Not blocking, since to open a FIFO waits for its writer.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    stream = os.fdopen(descriptor, "rb")
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return stream
    stream.close()
    raise MynahError(f"{url}: is a pipe or a device: name a file")


def _package_file(path: str) -> Path:
    """NAME/PATH → the file in the installed package NAME, found without importing it."""
    name, _, inside = path.partition("/")
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise MynahError(f"package://{path}: no Python package {name} is installed: pip install it")
    root = Path(spec.submodule_search_locations[0]).resolve()
    file = (root / inside).resolve()
    if not file.is_relative_to(root):
        raise MynahError(f"package://{path}: leads out of the package")
    return file
