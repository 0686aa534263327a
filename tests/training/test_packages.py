"""train.packages: a wheel made here is installed beside what there is, and its code is there while a model is made."""

import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from transformers import LlamaForCausalLM

from mynah.bot import Bot, Train
from mynah.bucket import Bucket
from mynah.errors import MynahError
from mynah.settings import Settings
from tests.training.trainer import start
from training.base_model import load_base
from training.packages import activate

# A model that transformers has not; and whoever imports it says so.
CODE = """
import os
from pathlib import Path
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

class BirdConfig(LlamaConfig):
    model_type = "bird"

class BirdForCausalLM(LlamaForCausalLM):
    config_class = BirdConfig

AutoConfig.register("bird", BirdConfig)
AutoModelForCausalLM.register(BirdConfig, BirdForCausalLM)
if "BIRD_SEEN" in os.environ:
    Path(os.environ["BIRD_SEEN"], str(os.getpid())).touch()
"""


@pytest.fixture
def make_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A wheel of the module birdlm, which is imported in every process of a training; pip sees no network."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    monkeypatch.setattr(sys, "path", [*sys.path])
    sys.modules.pop("birdlm", None)

    def make(code: str = CODE, needs: str = "torch") -> str:
        file = tmp_path / "birdlm-1.0-py3-none-any.whl"
        info = "birdlm-1.0.dist-info"
        with zipfile.ZipFile(file, "w") as wheel:
            wheel.writestr("birdlm.py", code)
            about = f"Metadata-Version: 2.1\nName: birdlm\nVersion: 1.0\nRequires-Dist: {needs}\n"
            wheel.writestr(f"{info}/METADATA", about)
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/entry_points.txt", "[mynah.training]\nbirdlm = birdlm\n")
            wheel.writestr(f"{info}/RECORD", "")
        return str(file)

    return make


@pytest.mark.slow
def test_the_code_of_a_base_model_comes_in_a_package(make_wheel: Callable[..., str], tiny: str, tmp_path: Path):
    base = tmp_path / "base"
    shutil.copytree(tiny, base)
    config = json.loads((base / "config.json").read_text())
    config |= {"model_type": "bird", "architectures": ["BirdForCausalLM"]}
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises(MynahError, match="cannot be loaded"):
        load_base(str(base), tmp_path)
    activate([make_wheel()], tmp_path)
    model, _ = load_base(str(base), tmp_path)
    assert type(model).__name__ == "BirdForCausalLM"
    weight = LlamaForCausalLM.from_pretrained(tiny).get_input_embeddings().weight
    assert torch.equal(model.get_input_embeddings().weight, weight)
    # It stands beside what was here already, and nothing of that was installed again.
    (folder,) = tmp_path.glob("packages-*")
    assert {file.name for file in folder.glob("lib/*/*/*.py")} == {"birdlm.py"}
    assert not list(folder.glob("lib/*/*/torch*"))


def test_what_cannot_stand_beside_mynah_is_refused_in_one_line(make_wheel: Callable[..., str], tmp_path: Path):
    with pytest.raises(MynahError, match=r"pip cannot install .* beside what is here: ") as error:
        activate([make_wheel(needs="torch==1.0")], tmp_path)
    assert "\n" not in str(error.value)
    with pytest.raises(MynahError, match="cannot be imported: no such bird"):
        activate([make_wheel("raise RuntimeError('no such bird')")], tmp_path)
    assert not list(tmp_path.glob(".packages-*/*"))


def test_no_flag_of_pip_is_a_package():
    with pytest.raises(ValidationError, match="packages"):
        Train(packages=["--index-url=https://example.org"])


@pytest.mark.slow
def test_a_training_has_its_packages(
    make_wheel: Callable[..., str],
    make_bot: Callable[..., Bot],
    write_dataset: Callable[..., str],
    settings_of: Callable[..., Settings],
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    seen = tmp_path / "seen"
    seen.mkdir()
    monkeypatch.setenv("BIRD_SEEN", str(seen))
    bucket = Bucket(f"file://{tmp_path}/bucket")
    write_dataset(bucket, tmp_path / "dataset")
    bot = make_bot(packages=[make_wheel()], max_steps=2, samples=0)
    process = start(bot, settings_of(bucket, tmp_path / "home", database_url))
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert len(list(seen.iterdir())) == 2  # the driver, which exports the model, and the worker
    assert said.count("installing ") == 1
