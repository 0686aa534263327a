"""How much memory a training and an export take, in multiples of the model's weights in fp32.

SmolLM2-135M is tuned for a few steps, and so is a Llama of two narrow layers with the same vocabulary: what both take
is libraries, Ray and logits, so that the rest is the model's.
"""

import os
import tempfile
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from mynah.bot import Bot
from mynah.bucket import Bucket, new_id
from mynah.document import Document, pack
from mynah.settings import Settings
from tests.llama import tiny_llama
from training.base_model import CONVERTED, SMOLLM2, base_folder
from training.train import train

STEPS = 6
TEXTS = [
    f"Number {n} of the texts that a model learns from, which are all of about the same length." for n in range(600)
]
AT_MOST = {"training": 4.0, "export": 2.0}  # times the weights


def main() -> None:
    """Print both peaks of both models, and the ratios."""
    with tempfile.TemporaryDirectory(prefix="mynah-bench-") as path:
        home = Path(os.environ.get("MYNAH_HOME") or ".mynah").absolute()
        base = base_folder(SMOLLM2, home / "models")
        assert base
        tiny = Path(path, "tiny")
        tiny_llama(49152, bos=1, eos=2, pad_token_id=2, tie_word_embeddings=True).save_pretrained(tiny)
        PreTrainedTokenizerFast.from_pretrained(home / "models" / CONVERTED).save_pretrained(tiny)
        weights = (base / "model.safetensors").stat().st_size
        peaks = {name: _peaks(str(folder), Path(path, name)) for name, folder in (("tiny", tiny), ("base", base))}
    print(f"weights in fp32: {weights / 1e6:,.0f} MB")
    for part, most in AT_MOST.items():
        small, large = peaks["tiny"][part], peaks["base"][part]
        print(
            f"{part:8}  {large / 1e6:7,.0f} MB; of the tiny model {small / 1e6:7,.0f} MB: the model takes"
            f" {(large - small) / weights:.2f} × its weights (at most {most:g})"
        )


def _peaks(base: str, folder: Path) -> dict[str, int]:
    bucket = Bucket(f"file://{folder}/bucket")
    dataset = folder / "dataset"
    dataset.mkdir(parents=True)
    for split, texts in {"train": TEXTS[60:], "dev": TEXTS[:60]}.items():
        (dataset / f"{split}.jsonl.zst").write_bytes(pack(Document(id=text, text=text) for text in texts))
    bucket.publish(dataset, {"counts": {}}, "bench", "datasets", new_id("bench"))
    settings = Settings.read({"MYNAH_BUCKET": bucket.url, "MYNAH_HOME": str(folder / "home")})
    tuning = {"base": base, "max_steps": STEPS, "save_every": 2, "eval_blocks": 4}
    bot = Bot(name="bench", sources={"s": {"kind": "file", "url": "unused.txt"}}, train=tuning)
    # In a process of its own: what the other left in this one's memory does not count.
    read, write = os.pipe()
    if not os.fork():
        metrics = train(bot, settings).metrics
        os.write(write, f"{metrics['peak_memory_bytes']} {metrics['peak_memory_bytes_export']}".encode())
        os._exit(0)
    os.close(write)
    training, export = map(int, os.read(read, 100).split())
    os.wait()
    return {"training": training, "export": export}


if __name__ == "__main__":
    main()
