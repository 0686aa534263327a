"""A model in a GGUF file, as llama.cpp has it, becomes a Hugging Face folder."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mynah.errors import MynahError

if TYPE_CHECKING:
    import gguf
    from transformers import PreTrainedTokenizerFast

BYTE_LEVEL = (None, "default", "gpt-2", "smollm")  # how these split a text is known: as GPT-2, smollm digit by digit


def choose(names: list[str], where: str) -> str | None:
    """The GGUF file that is meant among a folder's `names`; None without one. Raises MynahError on several."""
    files = sorted(name for name in names if name.endswith(".gguf"))
    if len(files) > 1:
        raise MynahError(
            f"base model {where} has several GGUF files ({', '.join(files)}): name one, as {where}/{files[0]}"
        )
    return files[0] if files else None


def convert(file: Path, folder: Path) -> None:
    """Write the model of the GGUF `file` to `folder`: fp32 safetensors and its tokenizer.

    A tokenizer.json beside the file is taken as it is; a GGUF file tells less of it. Raises what transformers raises.
    """
    import torch
    from transformers import AutoModelForCausalLM

    print(f"converting {file.name} (once)", file=sys.stderr, flush=True)
    where, name = str(file.parent), file.name
    model = AutoModelForCausalLM.from_pretrained(where, gguf_file=name, dtype=torch.float32)
    # Its weights are whole numbers no more.
    model.hf_quantizer = None  # type: ignore[assignment]
    model.is_quantized = False  # type: ignore[assignment]
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    _tokenizer(file).save_pretrained(folder)


def _tokenizer(file: Path) -> Any:
    import gguf
    from transformers import AutoTokenizer

    if (file.parent / "tokenizer.json").is_file():
        return AutoTokenizer.from_pretrained(file.parent)
    reader = gguf.GGUFReader(file)
    if _field(reader, "model") == "gpt2" and _field(reader, "pre") in BYTE_LEVEL:
        return byte_level_tokenizer(reader)
    return AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)


def byte_level_tokenizer(reader: "gguf.GGUFReader") -> "PreTrainedTokenizerFast":
    """The tokenizer of a file whose tokenizer.ggml.model is gpt2, put together as SmolLM2 publishes it.

    transformers takes a Llama's for SentencePiece's, whatever the file says.
    """
    import gguf
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens, types, merges = (_field(reader, key) for key in ("tokens", "token_type", "merges"))
    specials = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    ids = {name: _field(reader, f"{key}_token_id") for name, key in specials.items()}
    ids["pad_token"] = ids["eos_token"] if ids["pad_token"] is None else ids["pad_token"]
    digits = [pre_tokenizers.Digits(individual_digits=True)] if _field(reader, "pre") == "smollm" else []
    tokenizer = Tokenizer(
        models.BPE({token: id for id, token in enumerate(tokens)}, [tuple(merge.split(" ")) for merge in merges])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token, type in zip(tokens, types, strict=True)
            if type == gguf.TokenType.CONTROL
        ]
    )
    template = reader.get_field("tokenizer.chat_template")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **{name: tokens[id] for name, id in ids.items() if id is not None},
        clean_up_tokenization_spaces=False,
        chat_template=template.contents() if template else None,
    )


def _field(reader: "gguf.GGUFReader", key: str) -> Any:
    """What the file says of its tokenizer, or None."""
    field = reader.get_field(f"tokenizer.ggml.{key}")
    return field.contents() if field else None
