"""A bot's InferenceService: another model beside it, in place of the one that serves, and back.

The new model starts as a canary (KServe's spec.canary): a pod of its own, which the bot's Service does not select.
Where it is good, its folder becomes the predictor's storageUri: a rolling update that keeps the old pods until the new
ones answer. Callers use the Service named after the bot throughout, and at no moment is there none that answers.
(KServe's own promotion of a canary renames the predictor, and the Service of the old name disappears.)
"""

import contextlib
import copy
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import kubernetes
from kubernetes.client.exceptions import ApiException

from jobs.judging import JudgedBad, ask, client_of, prompts_to_try
from jobs.kubernetes.client import POLL, TIMEOUT, Cluster, asking, waits_for
from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.endpoint import UNTOLD, serving_model
from mynah.errors import MynahError

CANARY = "canary"
NONE_YET = "none"  # the folder that an installation begins with
READY_WITHIN = 600.0  # seconds for a pod to fetch, load and warm up a model
AWAKE_WITHIN = 60.0  # seconds for the model that serves, where it slept; the canary's start took as long already
FORGOTTEN_WITHIN = 60.0  # seconds for an old pod to be asked no more
BY_SIGNAL = 128  # exit statuses from here on: somebody else ended it, for want of memory or of a node
HOPELESS = 3  # restarts for reasons outside the model


@dataclass(frozen=True)
class InferenceService:
    """Where a cluster serves a bot's model; a jobs.place.Place."""

    cluster: Cluster
    bot: Bot
    bucket: Bucket
    keys: Sequence[str] = ()

    @property
    def address(self) -> str:
        return f"http://{self.bot.name}"

    def serving(self) -> str | None:
        """The id of the model that the InferenceService names. Raises MynahError where the values name it instead."""
        if self.bot.serve.model:
            raise MynahError(
                f"serve.model of bot {self.bot.name} says how it is served: change it there, by helm upgrade"
            )
        uri = self._get()["spec"]["predictor"]["model"]["storageUri"]
        id = str(uri).rpartition("/")[2]
        return None if id == NONE_YET else id

    @contextmanager
    def beside(self, model: str) -> Iterator[tuple[str, str]]:
        """A canary with the model, in place of one that is there; gone after the block."""
        name, uri = self.bot.name, self._uri(model)
        predictor = copy.deepcopy(self._get()["spec"]["predictor"])
        predictor["name"] = CANARY
        # One pod; KServe lets a canary ask for no more than the predictor, and makes one of none too.
        predictor["minReplicas"] = min(1, predictor.get("minReplicas", 1))
        predictor.pop("maxReplicas", None)
        # Not what the bot's Service selects; the network policies know it by this component.
        predictor["labels"] = {**predictor.get("labels", {}), "app.kubernetes.io/component": CANARY}
        predictor["model"]["storageUri"] = uri
        print(f"starting {uri} as a canary of {name}", file=sys.stderr, flush=True)
        try:
            self._patch({"canary": [{"trafficPercent": 0, "predictor": predictor}]})
            self._wait(f"{name}-{CANARY}-predictor", uri, CANARY)
            if self.bot.serve.sleeps:
                self._wait_awake()
            yield f"http://{name}-{CANARY}-predictor", name
        except BaseException:
            with contextlib.suppress(MynahError):  # the next run removes it
                self.clean_up()
            raise
        self.clean_up()

    def change(self, model: str) -> None:
        """Point the predictor at the model; wait until all its pods serve that, and the bot's own address answers."""
        self.put_back(model)
        self._wait(f"{self.bot.name}-predictor", self._uri(model), "serving")
        self._check_answer(model)

    def put_back(self, model: str | None) -> None:
        self._patch({"predictor": {"model": {"storageUri": self._uri(model or NONE_YET)}}})

    def clean_up(self) -> None:
        if self._get()["spec"].get("canary"):
            self._patch({"canary": None})

    def _uri(self, model: str) -> str:
        return self.bucket.address(self.bot.name, "models", model)

    def _get(self) -> dict[str, Any]:
        return self.cluster.get("InferenceService", self.bot.name)

    def _patch(self, spec: dict[str, Any]) -> None:
        self.cluster.patch("InferenceService", self.bot.name, {"spec": spec})

    def _wait(self, deployment: str, uri: str, component: str) -> None:
        """Wait until every pod of a Deployment serves the model at `uri`. What hinders one look is asked again.

        Raises JudgedBad where the model server fails by itself, MynahError where it is not ready in time.
        """
        deadline = time.monotonic() + READY_WITHIN
        why = ""
        while True:
            failure = None
            try:
                lacks = self._lacks(deployment, uri)
                if not lacks:
                    return
                why = lacks
                selector = f"mynah/bot={self.bot.name},app.kubernetes.io/component={component}"
                pods = (pod for pod in self.cluster.pods(selector) if uri in str(pod.spec.init_containers))
                if pod := next(pods, None):
                    why = waits_for(pod) or why
                    failure = self._failure(pod)
            except MynahError as error:
                why = str(error)
            if failure:
                raise failure
            if time.monotonic() > deadline:
                raise MynahError(f"not ready within {READY_WITHIN:.0f} s: {why}")
            time.sleep(POLL)

    def _wait_awake(self) -> None:
        """Wait until the model that serves answers, where it slept; not for ever, for it may be broken."""
        if self.serving() is None:
            return
        with client_of(self.address, self.keys) as client, contextlib.suppress(MynahError):
            serving_model(client, self.bot.name, asleep=AWAKE_WITHIN)

    def _lacks(self, deployment: str, uri: str) -> str | None:
        """What a Deployment lacks to serve the model at `uri` with all its pods; None where it lacks nothing."""
        cluster = self.cluster
        with asking(f"Deployment {deployment} in namespace {cluster.namespace}"):
            try:
                found = kubernetes.client.AppsV1Api(cluster.api).read_namespaced_deployment(
                    deployment, cluster.namespace, _request_timeout=TIMEOUT
                )
            except ApiException as error:
                if error.status == 404:
                    return "KServe made no Deployment of it"
                raise
        if uri not in str(found.spec.template):
            return "KServe has yet to see the change"
        status, wanted = found.status, found.spec.replicas
        if not wanted:
            return f"it sleeps, and KEDA does not wake it: see `kubectl describe scaledobject {self.bot.name}-serving`"
        whole = status.observed_generation == found.metadata.generation and wanted == (status.replicas or 0)
        if whole and status.updated_replicas == status.available_replicas == wanted:
            return None
        return "its pod starts"

    def _failure(self, pod: Any) -> MynahError | None:
        """Why nothing more is to be hoped of a pod: JudgedBad where its model server ended by itself, twice.

        A model that cannot be fetched, or has not the memory that it needs, is not to blame.
        """
        fetching = [(status, False) for status in pod.status.init_container_statuses or []]
        for status, serves in [*fetching, *((status, True) for status in pod.status.container_statuses or [])]:
            ended = status.last_state.terminated or status.state.terminated
            if not ended or not ended.exit_code:
                continue
            by_itself = serves and ended.exit_code < BY_SIGNAL
            if status.restart_count >= (1 if by_itself else HOPELESS):
                said = self.cluster.last_complaint(pod.metadata.name, status.name)
                if not said or ended.exit_code >= BY_SIGNAL:
                    said = ended.reason
                kind = JudgedBad if by_itself else MynahError
                return kind(f"its container {status.name} fails (exit {ended.exit_code}): {said}")
        return None

    def _check_answer(self, model: str) -> None:
        """The bot's own address answers, with the new model. Raises MynahError where it does not.

        For a moment after the update the old pod may still be asked: it ends only when the Service has forgotten it.
        """
        deadline = time.monotonic() + FORGOTTEN_WITHIN
        while True:
            # A new connection each time: a kept one stays with its pod.
            with client_of(self.address, self.keys) as client:
                try:
                    found = serving_model(client, self.bot.name)
                    if found not in (model, UNTOLD):  # of a server that tells none, the pods' folder was seen
                        raise MynahError(f"{self.address} answers with {found}")
                    ask(client, self.bot.name, prompts_to_try(self.bot)[0])
                    return
                except JudgedBad:
                    raise
                except MynahError:
                    if time.monotonic() > deadline:
                        raise
            time.sleep(POLL)
