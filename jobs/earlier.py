"""A server of its own for the model of an earlier training, published or a checkpoint."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mynah.local_server import die_with_parent, started
from mynah.settings import Settings


@contextmanager
def serving_run(bot: str, name: str, run: str, overrides: Sequence[str], settings: Settings) -> Iterator[str]:
    """Serve what `run`, RUN or RUN@STEP, has learnt, while the block runs; yields the address.

    `bot`: the bot file, or what means it; `name`: the bot's. Raises SystemExit where there is no such model, which has
    been said on stderr by then, and MynahError where it is not served.
    """
    with tempfile.TemporaryDirectory(prefix="model-", dir=settings.make_home()) as folder:
        flags = [f"--set={override}" for override in overrides]
        command = [sys.executable, "-m", "mynah", "export", bot, run, folder, *flags]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent, check=False)
        if done.returncode:
            sys.exit(done.returncode)
        id = done.stdout.strip()
        with started([name, *(["--model-dir", folder] if "@" in id else ["--model", id])]) as address:
            yield address
