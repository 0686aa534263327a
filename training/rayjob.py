"""What a Ray cluster on Kubernetes runs: `mynah dataset`, then `mynah train`, with their log copied into the bucket.

The cluster is gone soon after, so all that both print goes to stdout and to <bot>/logs/<host>.txt as well; the host is
the pod of Ray's head.
"""

import subprocess
import sys
import time
from collections.abc import Sequence

from mynah.bucket import Bucket

KEEP_EVERY = 15.0  # seconds between two copies of the growing log
LAST_TRIES = 3  # at copying the whole log, when all is done
PAUSE = 5.0  # seconds between these


def run(bot: str, bucket: Bucket, host: str, flags: Sequence[str] = ()) -> int:
    """Run both verbs with `flags` (--again for train alone); returns the exit status of the one that failed, or 0.

    A copy of the log that fails is said and tried again later. It never ends a training.
    """
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
                        _keep(log, bucket, bot, host)
                        kept = time.monotonic()
            if process.returncode:
                return process.returncode
        return 0
    finally:
        for tries in range(LAST_TRIES):
            if tries:
                time.sleep(PAUSE)
            if _keep(log, bucket, bot, host):
                break


def _keep(log: bytes, bucket: Bucket, bot: str, host: str) -> bool:
    """Copy the log into the bucket; False, and a line on stderr, where that fails."""
    try:
        bucket.write(log, bot, "logs", f"{host}.txt")
    except Exception as error:  # whatever storage raises: a log is not worth a training
        print(f"the log is not in the bucket yet, and is tried again later: {error}", file=sys.stderr, flush=True)
        return False
    return True
