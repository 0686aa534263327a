"""A trained model as a folder that any server of the field loads, with an int8 export to OpenVINO inside."""

import contextlib
import gc
import json
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from mynah.bot import Generate
from training.blocks import begin_with_bos
from training.samples import generation_config

TASK = "text-generation-with-past"  # as optimum calls a causal language model that keeps what it has seen


def write_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path, generate: Generate) -> None:
    """Write `model` to `folder`: safetensors, tokenizer, the bot's sampling as generation_config.json, and openvino/.

    The model has learnt documents as BOS text EOS. The tokenizer written begins every prompt with that BOS by
    itself (EOS where the model has no BOS), so that an empty prompt asks for a text from its beginning.
    Where the caller keeps no reference to `model`, its weights are given up as soon as they are written.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    begin_with_bos(tokenizer)
    model = model.eval().to("cpu")
    model.generation_config = generation_config(tokenizer, generate)
    model.save_pretrained(folder)
    _save_tokenizer(tokenizer, folder)
    with (
        warnings.catch_warnings(),
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        tempfile.TemporaryDirectory(dir=folder) as whole,  # the weights in fp32, which only int8 is made of
    ):
        warnings.simplefilter("ignore")
        import_exporters()
        from optimum.exporters.openvino.convert import export_from_model, export_tokenizer
        from optimum.intel import OVConfig

        exported = folder / "openvino"
        exported.mkdir()
        with torch.no_grad():
            # Without preprocessors, the tokenizer is not loaded and saved once more.
            export_from_model(model, whole, task=TASK, ov_config=OVConfig(dtype="fp32"), preprocessors=[])
        model.config.save_pretrained(exported)
        model.generation_config.save_pretrained(exported)
        del model
        gc.collect()
        _compress(Path(whole), exported)
        _save_tokenizer(tokenizer, exported)
        export_tokenizer(tokenizer, exported, task=TASK)


def _compress(whole: Path, folder: Path) -> None:
    """Write the OpenVINO model in the folder `whole` to `folder`, with its weights in int8."""
    import nncf
    import openvino

    compressed = nncf.compress_weights(
        openvino.Core().read_model(whole / "openvino_model.xml"), mode=nncf.CompressWeightsMode.INT8_ASYM
    )
    openvino.save_model(compressed, folder / "openvino_model.xml", compress_to_fp16=False)


def _save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save the tokenizer under the class that takes tokenizer.json as it stands, in old and new transformers.

    A model's own class (LlamaTokenizer, GPT2Tokenizer) builds the post-processor anew and loses BOS, and the name
    that transformers 5 writes is unknown to version 4, which many servers run. Older ones do not find a
    chat template in a file of its own either.
    """
    tokenizer.save_pretrained(folder, save_jinja_files=False)
    config = folder / "tokenizer_config.json"
    fields = json.loads(config.read_text(encoding="utf-8"))
    for key in ("add_bos_token", "add_eos_token", "backend", "is_local"):
        fields.pop(key, None)
    fields["tokenizer_class"] = "PreTrainedTokenizerFast"
    config.write_text(json.dumps(fields, indent=2, ensure_ascii=False), encoding="utf-8")


def import_exporters() -> None:
    """Import what the export needs, quietly. It takes seconds, so the driver does it while it waits."""
    # OpenVINO and NNCF report their use to a server over this package, and do without where it cannot be imported.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # By itself NNCF compiles a program per weight, and numpy rounds to the same bytes in a fifth of the time.
    os.environ.setdefault("NNCF_DISABLE_OPTIMIZED_COMPRESSION", "1")
    warnings.filterwarnings("ignore", category=SyntaxWarning)  # of optimum-intel's source, on Python 3.12 and newer
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # "No CUDA runtime"
    import nncf  # noqa: F401
    import openvino  # noqa: F401
    from optimum.exporters.openvino import convert
    from optimum.intel import OVConfig  # noqa: F401

    # The check traces the model a second time and runs both. Tests compare what the exported model says.
    convert.allow_skip_tracing_check = lambda library, kind: True
    for name in ("nncf", "optimum", "openvino"):
        logging.getLogger(name).setLevel(logging.ERROR)
