"""The Helm chart's values: their schema, and the bot file's defaults, made from the models so that they never differ.

The keys of the chart itself are here, in Helm's camelCase; charts/mynah/values.yaml says what each does.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from mynah.bot.schema import DRAFT, tidy
from mynah.bot.section import Name, Quantity
from mynah.bot.spec import BotSpec


class Part(BaseModel):
    """A part of the values."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class Images(Part):
    jobs: str
    training: str
    serving: str
    postgres: str
    versitygw: str
    pull_policy: Literal["Always", "IfNotPresent", "Never"]
    pull_secrets: list[str]


class Postgres(Part):
    kind: Literal["local", "cloudnativepg", "external"]
    size: Quantity
    storage_class: str
    instances: int = Field(ge=1)
    secret: str
    secret_key: str
    cidrs: list[str]
    port: int = Field(ge=1, le=65535)


class Store(Part):
    kind: Literal["local", "s3", "gs"]
    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/]+)*$")
    size: Quantity
    storage_class: str
    secret: str
    endpoint: str = Field(pattern=r"^(https?://.+)?$")
    region: str
    service_account_annotations: dict[str, str]
    cidrs: list[str]
    port: int = Field(ge=1, le=65535)


class XSimulator(Part):
    enabled: bool
    world: str


class MastodonSimulator(Part):
    enabled: bool


class Jobs(Part):
    cpu: Quantity
    memory: Quantity


class Pool(Part):
    replicas: int = Field(ge=1)
    cpu: Quantity
    memory_gb: int = Field(ge=1)


class Serving(Part):
    api_key_secret: str
    pools: dict[Name, Pool]
    keda_namespace: str
    gpu_node_selector: dict[str, str]
    gpu_tolerations: list[dict[str, Any]]


class Service(Part):
    type: Literal["ClusterIP", "NodePort", "LoadBalancer"]
    port: int = Field(ge=1, le=65535)
    annotations: dict[str, str]


class Ingress(Part):
    hosts: list[str]
    class_name: str
    annotations: dict[str, str]
    tls_secret: str


class Play(Part):
    enabled: bool
    replicas: int = Field(ge=1)
    cpu: Quantity
    memory: Quantity
    service: Service
    ingress: Ingress
    callers: list[dict[str, Any]]
    requests_per_minute: int = Field(ge=0)
    prompts_per_minute: int = Field(ge=0)
    proxies: list[str]
    signing_key_secret: str
    node_selector: dict[str, str]
    tolerations: list[dict[str, Any]]


class Training(Part):
    head_cpu: Quantity
    head_memory: Quantity
    shared_memory: Quantity
    deadline_seconds: int = Field(ge=60)
    ttl_seconds: int = Field(ge=0)
    backoff_limit: int = Field(ge=0)
    gpu_node_selector: dict[str, str]
    gpu_tolerations: list[dict[str, Any]]


class NetworkPolicy(Part):
    enabled: bool
    callers: list[dict[str, Any]]
    api_server_cidrs: list[str]
    api_server_port: int = Field(ge=1, le=65535)


class Priority(Part):
    create: bool


class Monitoring(Part):
    pod_monitor: bool
    rules: bool
    dashboard: bool
    namespace: str
    labels: dict[str, str]


class Tests(Part):
    enabled: bool


class Values(Part):
    """All of values.yaml. Every key but the bots' has its default there, and none here."""

    bots: dict[Name, BotSpec]
    images: Images
    postgres: Postgres
    store: Store
    x_simulator: XSimulator
    mastodon_simulator: MastodonSimulator
    jobs: Jobs
    serving: Serving
    play: Play
    training: Training
    network_policy: NetworkPolicy
    priority: Priority
    monitoring: Monitoring
    tests: Tests


def values_schema() -> dict[str, Any]:
    """The JSON schema of the chart's values, as Helm checks them."""
    schema = Values.model_json_schema()
    tidy(schema)
    _name_keys(schema)
    schema["properties"]["global"] = {"type": "object"}  # Helm adds it where the chart is part of another
    schema["propertyNames"]["enum"].append("global")
    return {"$schema": DRAFT, "title": "Values of the chart mynah", **schema}


def bot_defaults() -> dict[str, Any]:
    """What a bot file need not say. An account's schedule has the defaults of `post`."""
    return {
        name: field.get_default(call_default_factory=True).model_dump(mode="json")
        if isinstance(field.default, BaseModel)
        else field.default
        for name, field in BotSpec.model_fields.items()
        if not field.is_required()
    }


def _name_keys(node: Any) -> None:
    """In place: of a key that is not allowed, Helm says no more than that; of propertyNames, which keys are."""
    if isinstance(node, list):
        for item in node:
            _name_keys(item)
    if not isinstance(node, dict):
        return
    if "patternProperties" in node:
        node["propertyNames"] = {"pattern": next(iter(node["patternProperties"]))}
    elif node.get("additionalProperties") is False:
        node["propertyNames"] = {"enum": sorted(node["properties"])}
    for item in node.values():
        _name_keys(item)
