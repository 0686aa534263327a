"""What a Ray cluster on Kubernetes runs: `mynah dataset`, then `mynah train`.

The cluster is gone soon after. What the training says is in Postgres, for `mynah logs`.
"""

import subprocess
from collections.abc import Sequence

from mynah.errors import Stopped


def run(bot: str, flags: Sequence[str] = ()) -> int:
    """Run both verbs with `flags` (--again for train alone); returns the exit status of the one that failed, or 0.

    A training that a person stopped has not failed: KubeRay would begin it anew.
    """
    for verb in ("dataset", "train"):
        taken = [flag for flag in flags if verb == "train" or flag != "--again"]
        status = subprocess.run(["mynah", verb, bot, *taken], stderr=subprocess.STDOUT, check=False).returncode
        if status == Stopped.exit_code:
            return 0
        if status:
            return status
    return 0
