"""python -m training.rayjob BOT BUCKET [FLAG…]: what a Ray cluster on Kubernetes runs: `mynah dataset`, `mynah train`.

FLAGs are --set=… for both, and --again for train.

All they print goes to stdout and, because the cluster is gone soon after, to BUCKET/BOT/logs/HOST.txt, HOST being the
name of the head's pod. The exit status is that of the verb that failed, or 0.
"""

import subprocess
import sys
import time
from collections.abc import Sequence

from mynah.bucket import Bucket

KEEP_EVERY = 15  # seconds between two copies of the growing log


def run(bot: str, bucket: Bucket, host: str, flags: Sequence[str] = ()) -> int:
    """Run both verbs with `flags` (--again for train alone); returns the exit status of the one that failed, or 0."""
    log = b""
    try:
        for verb in ("dataset", "train"):
            taken = [flag for flag in flags if verb == "train" or flag != "--again"]
            with subprocess.Popen(
                ["mynah", verb, bot, *taken], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as process:
                kept = time.monotonic()
                for line in process.stdout or ():
                    sys.stdout.buffer.write(line)
                    sys.stdout.flush()
                    log += line
                    if time.monotonic() - kept > KEEP_EVERY:
                        bucket.write(log, bot, "logs", f"{host}.txt")
                        kept = time.monotonic()
            if process.returncode:
                return process.returncode
        return 0
    finally:
        bucket.write(log, bot, "logs", f"{host}.txt")
