"""`make bench PART=fleet`: what 200 bots ask of a cluster, in each way to serve them, by the chart's own manifests.

What is counted is what stands there all day: pods of InferenceServices, Deployments and StatefulSets. CronJobs' pods
come and go.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
BOTS = 200
POOL = {"main": {"replicas": 1, "cpu": "1", "memoryGb": 4}}
SUFFIXES = {"m": 1e-3, "": 1.0, "Mi": 2**20, "Gi": 2**30}


def quantity(text: str) -> float:
    number = text.rstrip("mMiG")
    return float(number) * SUFFIXES[text[len(number) :]]


def manifests(mode: str) -> list[dict[str, Any]]:
    serve = {"mode": mode, **({"pool": "main"} if mode == "pool" else {})}
    bot = {"sources": {"texts": {"url": "texts.txt"}}, "serve": serve}
    values = {"bots": {f"bot-{n:03}": bot for n in range(BOTS)}}
    if mode == "pool":
        values["serving"] = {"pools": POOL}
    helm = Path(sys.executable).with_name("helm")
    command = [helm, "template", "fleet", ROOT / "charts" / "mynah", "-f", "-"]
    made = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=True).stdout
    return [one for one in yaml.load_all(made, yaml.CSafeLoader) if one]


def asked(manifest: dict[str, Any]) -> Iterator[tuple[float, float]]:
    """Cores and bytes that each container of a pod that stands all day asks for."""
    spec, kind = manifest.get("spec", {}), manifest["kind"]
    if kind == "InferenceService":
        predictor = spec["predictor"]
        containers = predictor.get("containers") or [predictor["model"]]
        replicas = predictor["minReplicas"]
    elif kind in ("Deployment", "StatefulSet"):
        containers, replicas = spec["template"]["spec"]["containers"], spec.get("replicas", 1)
    else:
        return
    for container in containers:
        requests = container["resources"]["requests"]
        yield replicas * quantity(str(requests["cpu"])), replicas * quantity(str(requests["memory"]))


def main() -> None:
    print(f"{BOTS} bots  objects  of them InferenceServices  cores asked  GiB asked")
    for mode in ("own", "pool", "none"):
        found = manifests(mode)
        servers = sum(one["kind"] == "InferenceService" for one in found)
        needs = [need for one in found for need in asked(one)]
        cores, gib = sum(cpu for cpu, _ in needs), sum(memory for _, memory in needs) / 2**30
        print(f"{mode:<8}  {len(found):>7}  {servers:>25}  {cores:>11.1f}  {gib:>9.1f}")


if __name__ == "__main__":
    main()
