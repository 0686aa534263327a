"""train.packages: packages for one bot's trainings, beside what is installed here and never in its place."""

import importlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mynah.bucket import fingerprint
from mynah.errors import MynahError
from training.base_model import once

GROUP = "mynah.training"  # the entry points that are imported


def absolute(packages: Sequence[str]) -> list[str]:
    """`packages`, and of wheels that lie here, their full paths: workers run elsewhere."""
    return [str(Path(each).absolute()) if Path(each).is_file() else each for each in packages]


def activate(packages: Sequence[str], cache: Path) -> None:
    """Install `packages`, once in `cache`, for this process and those that it starts, and import their entry points.

    Raises MynahError where pip cannot install them beside what is here, or an entry point cannot be imported.
    """
    if not packages:
        return
    files = [Path(each).stat() for each in packages if Path(each).is_file()]
    state = [sys.version, *packages, *((file.st_size, file.st_mtime_ns) for file in files)]
    installed = once(cache / f"packages-{fingerprint(state)}", lambda folder: _install(packages, folder))
    site = next((str(each) for each in installed.glob("lib/python*/*-packages")), None)
    if site is None:
        return  # all of it was here already
    if site not in sys.path:
        sys.path.append(site)
        importlib.invalidate_caches()
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if site not in path:
        os.environ["PYTHONPATH"] = os.pathsep.join([*filter(None, path), site])
    for distribution in importlib.metadata.distributions(path=[site]):
        for entry in distribution.entry_points.select(group=GROUP):
            try:
                entry.load()
            except Exception as error:  # whatever that package raises
                raise MynahError(f"train.packages: {entry.value} cannot be imported: {error}") from error


def _install(packages: Sequence[str], folder: Path) -> None:
    here = {each.metadata["Name"]: each.version for each in importlib.metadata.distributions()}
    # The virtual environment of our images has no pip of its own, and uses the one beside it.
    own = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else []
    pip = own or ([found, "--python", sys.executable] if (found := shutil.which("pip")) else [])
    if not pip:
        raise MynahError("train.packages: there is no pip here to install them with")
    print(f"installing {', '.join(packages)} (once)", file=sys.stderr, flush=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("".join(f"{name}=={version}\n" for name, version in here.items() if name))
        constraints.flush()
        flags = ["--quiet", "--no-input", "--disable-pip-version-check", "--root-user-action=ignore"]
        done = subprocess.run(
            [*pip, "install", *flags, "--prefix", str(folder), "--constraint", constraints.name, "--", *packages],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        said = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        why = said[0] if said else f"exit {done.returncode}"
        raise MynahError(f"train.packages: pip cannot install {', '.join(packages)} beside what is here: {why}")
