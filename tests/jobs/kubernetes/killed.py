"""A process that promotes on the stand-in, to be killed.

    python -m tests.jobs.kubernetes.killed URL BUCKET DATABASE

It says its process id, and begins when it is given a line.
"""

import os
import sys
from pathlib import Path

from jobs.kubernetes.rollout import InferenceService
from jobs.promote import promote
from mynah.bot import Bot, FileSource, Promote
from mynah.bucket import Bucket
from mynah.database.connection import connect
from tests.jobs.kubernetes.stand_in import cluster_at

if __name__ == "__main__":
    url, bucket_url, database_url = sys.argv[1:]
    never_slow = Promote(max_slowdown=1000)
    bot = Bot(name="demo", sources={"none": FileSource(url="none.txt")}, promote=never_slow)
    bucket = Bucket(bucket_url)
    with connect(database_url, Path(), "killed") as connection:
        print(os.getpid(), flush=True)
        sys.stdin.readline()
        promote(bot, bucket, connection, InferenceService(cluster_at(url), bot, bucket))
