"""Roll an InferenceService to another model, judged first beside the old one, or roll it back.

The new model starts as a canary (KServe's spec.canary): a pod of its own, which the bot's Service does not select.
Judged well there, its folder becomes the predictor's storageUri: a rolling update that keeps the old pods until the
new ones answer. Judged badly, or never ready, only the canary goes. Callers use the Service named after the bot
throughout, and at no moment is there none that answers. (KServe's own promotion of a canary renames the predictor, and
the Service of the old name disappears.)
"""

import copy
import json
import math
import statistics
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import httpx
import kubernetes
from kubernetes.client.exceptions import ApiException

from jobs.kubernetes.client import POLL, TIMEOUT, Cluster, asking, waits_for
from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.endpoint import serving_model
from mynah.errors import MynahError

CANARY = "canary"
NONE_YET = "none"  # the folder that an installation begins with
READY_WITHIN = 600.0  # seconds for a pod to fetch, load and warm up a model
FORGOTTEN_WITHIN = 60.0  # seconds for an old pod to be asked no more
REQUESTS = 10  # to the canary and, in turn, to the model that serves
TOKENS = 16  # a request
WORSE = 1.02  # how much higher the dev loss may be than the serving model's, on the same dataset
ANSWER = httpx.Timeout(5, read=60)  # seconds


@dataclass(frozen=True)
class Promoted:
    """What became of the InferenceService. `checks` are what was found out about the new model, a line each."""

    bot: str
    model: str
    previous: str | None
    changed: bool
    message: str
    checks: dict[str, str]

    def summary(self) -> str:
        return "\n".join([self.message, *(f"  {name}: {value}" for name, value in self.checks.items())])


@dataclass(frozen=True)
class Memory:
    """What one promotion leaves for the next, in the bucket: KServe would restart the pods for an annotation."""

    previous: str | None = None
    """The model that served before: what `mynah rollback` goes back to."""
    refused: tuple[str, ...] = ()
    """Models judged badly, or rolled back from: none is tried again unless it is named."""

    @classmethod
    def read(cls, bucket: Bucket, bot: str) -> "Memory":
        try:
            kept = json.loads(bucket.read(bot, "promotion.json"))
        except FileNotFoundError:
            return cls()
        return cls(kept["previous"], tuple(kept["refused"]))

    def write(self, bucket: Bucket, bot: str) -> None:
        bucket.write(json.dumps(asdict(self)).encode(), bot, "promotion.json")

    def with_refused(self, model: str) -> "Memory":
        return replace(self, refused=(*(id for id in self.refused if id != model), model))


def promote(bot: Bot, bucket: Bucket, cluster: Cluster, model: str | None = None, force: bool = False) -> Promoted:
    """Serve `model`, or the bot's newest, in place of the model that serves now.

    `force` passes over the manifest's dev loss, not over what the running canary shows. A newest model that was
    refused before is left alone. Raises MynahError, with the old model still serving, where the new one is not
    whole, is worse, does not start, errs, or is too slow.
    """
    service = cluster.get("InferenceService", bot.name)
    if bot.serve.model or bot.serve.mode != "standard":
        key = "model" if bot.serve.model else "mode"
        raise MynahError(f"serve.{key} of bot {bot.name} says how it is served: change it there, by helm upgrade")
    current = service["spec"]["predictor"]["model"]["storageUri"].rpartition("/")[2]
    serving = None if current == NONE_YET else current
    manifest = _manifest(bot, bucket, model)
    id = manifest["id"]
    if id == serving:
        _remove_canary(cluster, bot.name)  # of a promotion that was killed
        return Promoted(bot.name, id, None, False, f"{bot.name} serves {id} already", {})
    memory = Memory.read(bucket, bot.name)
    if not model and not force and id in memory.refused:
        message = (
            f"nothing to promote: {id}, the newest, was refused before; `mynah promote {bot.name} {id}` tries again"
        )
        return Promoted(bot.name, id, None, False, message, {})

    begin = time.monotonic()
    address = bucket.address(bot.name, "models", id)
    try:
        checks = {"dev loss": _judge_manifest(bot, bucket, manifest, serving, force)}
        try:
            _start_canary(cluster, service, address)
            _wait(cluster, bot.name, f"{bot.name}-{CANARY}-predictor", address, CANARY)
            checks["canary ready after"] = f"{time.monotonic() - begin:.1f} s"
            checks |= _judge_answers(bot, serving is not None)
        finally:
            _remove_canary(cluster, bot.name)
        _say(f"the canary is good: rolling {bot.name} over to {id}")
        _set_model(cluster, bot.name, address)
        try:
            _wait(cluster, bot.name, f"{bot.name}-predictor", address, "serving")
            _check_serving(bot, id)
        except MynahError:
            _set_model(cluster, bot.name, bucket.address(bot.name, "models", current))
            raise
    except MynahError as error:
        memory.with_refused(id).write(bucket, bot.name)
        raise MynahError(f"{id} is not promoted, {serving or 'no model'} goes on serving {bot.name}: {error}") from None
    Memory(serving, tuple(other for other in memory.refused if other != id)).write(bucket, bot.name)
    checks["serving after"] = f"{time.monotonic() - begin:.1f} s"
    message = f"{bot.name} serves {id}" + (f", before it {serving}" if serving else "")
    return Promoted(bot.name, id, serving, True, message, checks)


def rollback(bot: Bot, bucket: Bucket, cluster: Cluster) -> Promoted:
    """Go back to the model that served before the last promotion. Raises MynahError where none is known.

    The model that is left counts as refused: what promotes by the clock does not bring it back.
    """
    previous = Memory.read(bucket, bot.name).previous
    if not previous:
        raise MynahError(f"bot {bot.name} has no model to go back to: name one with `mynah promote {bot.name} MODEL`")
    promoted = promote(bot, bucket, cluster, previous, force=True)
    if promoted.previous:
        Memory.read(bucket, bot.name).with_refused(promoted.previous).write(bucket, bot.name)
    return promoted


def _manifest(bot: Bot, bucket: Bucket, model: str | None) -> dict[str, Any]:
    if model is None:
        manifest = next(bucket.manifests(bot.name, "models"), None)
        if manifest is None:
            raise MynahError(f"bot {bot.name} has no model in {bucket.url}: train one first")
    else:
        manifest = bucket.manifest(bot.name, "models", model)
        if manifest is None:
            raise MynahError(
                f"{bucket.address(bot.name, 'models', model)} has no model.json: there is no such model, or it was "
                "never written whole"
            )
    return manifest


def _judge_manifest(bot: Bot, bucket: Bucket, new: dict[str, Any], serving: str | None, force: bool) -> str:
    """What the dev losses say. Raises MynahError where the new model has learnt nothing, or less than the old."""
    loss, untuned = new["metrics"]["dev_loss"], new["metrics"]["dev_loss_untuned"]
    if loss is None:
        return "not measured"
    said = f"{_loss(loss)}, untuned {_loss(untuned)}"
    if loss >= untuned and not force:
        raise MynahError(f"its dev loss, {said}, is no better (--force passes over that)")
    old = bucket.manifest(bot.name, "models", serving) if serving else None
    # Nats a token are comparable on the same texts in the same tokens.
    if old and old["metrics"]["dev_loss"] and (old["dataset"], old["base"]) == (new["dataset"], new["base"]):
        said += f", serving {_loss(old['metrics']['dev_loss'])}"
        if loss > old["metrics"]["dev_loss"] * WORSE and not force:
            raise MynahError(f"its dev loss, {said}, is worse (--force passes over that)")
    return said


def _loss(nats: float) -> str:
    return f"{nats:.3f} (perplexity {math.exp(nats):.1f})"


def _start_canary(cluster: Cluster, service: dict[str, Any], address: str) -> None:
    """Put a canary with the model at `address` beside the predictor, in place of one that is there."""
    name = service["metadata"]["name"]
    predictor = copy.deepcopy(service["spec"]["predictor"])
    predictor["name"] = CANARY
    predictor["minReplicas"] = 1
    predictor.pop("maxReplicas", None)
    # Not what the bot's Service selects; the network policies know it by this component.
    predictor["labels"] = {**predictor.get("labels", {}), "app.kubernetes.io/component": CANARY}
    predictor["model"]["storageUri"] = address
    _say(f"starting {address} as a canary of {name}")
    cluster.patch(
        "InferenceService",
        name,
        [{"op": "add", "path": "/spec/canary", "value": [{"trafficPercent": 0, "predictor": predictor}]}],
    )


def _remove_canary(cluster: Cluster, name: str) -> None:
    if cluster.get("InferenceService", name)["spec"].get("canary"):
        cluster.patch("InferenceService", name, [{"op": "remove", "path": "/spec/canary"}])


def _set_model(cluster: Cluster, name: str, address: str) -> None:
    """Point the predictor at `address`."""
    patch = [{"op": "replace", "path": "/spec/predictor/model/storageUri", "value": address}]
    cluster.patch("InferenceService", name, patch)


def _wait(cluster: Cluster, bot: str, deployment: str, address: str, component: str) -> None:
    """Wait until every pod of a Deployment serves the model at `address`. Raises MynahError with what keeps it."""
    apps = kubernetes.client.AppsV1Api(cluster.api)
    deadline = time.monotonic() + READY_WITHIN
    why = "KServe made no Deployment of it"
    selector = f"mynah/bot={bot},app.kubernetes.io/component={component}"
    while time.monotonic() < deadline:
        time.sleep(POLL)
        with asking(f"Deployment {deployment} in namespace {cluster.namespace}"):
            try:
                found = apps.read_namespaced_deployment(deployment, cluster.namespace, _request_timeout=TIMEOUT)
            except ApiException as error:
                if error.status != 404:
                    raise
                continue
        if address not in str(found.spec.template):
            continue  # KServe has yet to see the change
        status, wanted = found.status, found.spec.replicas or 1
        whole = status.observed_generation == found.metadata.generation and wanted == (status.replicas or 0)
        if whole and status.updated_replicas == status.available_replicas == wanted:
            return
        for pod in cluster.pods(selector):
            if address in str(pod.spec.init_containers):
                why = waits_for(pod) or "its pod starts"
                if failure := _failure(cluster, pod):
                    raise MynahError(failure)
                break
    raise MynahError(f"not ready within {READY_WITHIN:.0f} s: {why}")


def _failure(cluster: Cluster, pod: Any) -> str | None:
    """Which container of a pod failed, and its last words; None while there is hope."""
    for status in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
        ended = status.last_state.terminated or status.state.terminated
        if ended and ended.exit_code and status.restart_count >= 1:
            said = cluster.last_line(pod.metadata.name, status.name) or ended.reason
            return f"its container {status.name} fails (exit {ended.exit_code}): {said}"
    return None


def _judge_answers(bot: Bot, compare: bool) -> dict[str, str]:
    """Ask the canary and, in turn, the model that serves. Raises MynahError where the canary errs or is too slow."""
    seconds: dict[str, list[float]] = {CANARY: [], "serving": []}
    texts = 0
    for number in range(REQUESTS):
        prompt = bot.generate.prompts[number % len(bot.generate.prompts)]
        texts += bool(_ask(f"http://{bot.name}-{CANARY}-predictor", bot.name, prompt, seconds[CANARY]))
        if compare:
            _ask(f"http://{bot.name}", bot.name, prompt, seconds["serving"])
    if not texts:
        raise MynahError(f"it answers {REQUESTS} prompts with no text at all")
    slow = statistics.median(seconds[CANARY])
    checks = {"answers": f"{REQUESTS} of {REQUESTS}", "median latency": f"{slow:.3f} s for {TOKENS} tokens"}
    if compare:
        usual = statistics.median(seconds["serving"])
        checks["median latency"] += f", serving {usual:.3f} s"
        if slow > usual * bot.promote.max_slowdown:
            raise MynahError(
                f"it takes {slow:.3f} s for {TOKENS} tokens and the serving model {usual:.3f} s: more than "
                f"promote.max_slowdown ({bot.promote.max_slowdown:g}) times as long"
            )
    return checks


def _ask(endpoint: str, model: str, prompt: str, seconds: list[float]) -> str:
    """One completion; appends how long it took. Raises MynahError where it fails."""
    begin = time.monotonic()
    body = {"model": model, "prompt": prompt, "max_tokens": TOKENS}
    try:
        response = httpx.post(f"{endpoint}/openai/v1/completions", json=body, timeout=ANSWER)
    except httpx.TransportError as error:
        raise MynahError(f"{endpoint} gives no answer: {error or type(error).__name__}") from None
    if response.is_error:
        raise MynahError(f"{endpoint} answers {response.status_code}: {response.text[:200]}")
    seconds.append(time.monotonic() - begin)
    return str(response.json()["choices"][0]["text"]).strip()


def _check_serving(bot: Bot, id: str) -> None:
    """The bot's own address answers, with the new model. Raises MynahError where it does not.

    For a moment after the update the old pod may still be asked: it ends only when the Service has forgotten it.
    """
    deadline = time.monotonic() + FORGOTTEN_WITHIN
    while True:
        try:
            with httpx.Client(base_url=f"http://{bot.name}", timeout=ANSWER) as client:
                found = serving_model(client, bot.name)
            if bot.serve.accelerator == "cpu" and found != id:  # KServe's GPU runtime does not tell the id
                raise MynahError(f"http://{bot.name} answers with {found}")
            _ask(f"http://{bot.name}", bot.name, bot.generate.prompts[0], [])
            return
        except MynahError:
            if time.monotonic() > deadline:
                raise
        time.sleep(POLL)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
