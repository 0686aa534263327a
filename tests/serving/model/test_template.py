"""Chat templates: the prompts that they make are those that transformers makes of them."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.model.messages import Chat
from serving.model.process import Batch
from serving.model.template import ChatTemplate, TemplateError, find_template
from tests.serving.model.conftest import SAYINGS, TEMPLATE
from tests.thread import in_thread

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
# The kinds that models come with.
TEMPLATES = {
    "ours": TEMPLATE,
    "chatml": "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "system first": "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
    "{% set system = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set system = false %}{% endif %}"
    "{% for message in rest %}{% if loop.index0 == 0 and system != false %}"
    "{% set content = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + message['content'] %}{% else %}"
    "{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% else %}{{ ' ' + content + eos_token }}{% endif %}"
    "{% endfor %}",
    "no system": "{% for message in messages if message.role != 'system' %}\n"
    "  {%- if loop.first %}{{ bos_token }}{% endif %}\n"
    "  [{{ message.role | upper }}] {{ message.content | trim }}\n{% endfor %}\n\n",
    "blocks": "  {% for message in messages %}\n    {% if message.name is defined %}\n{{ message.name }}: {% endif %}\n"
    "    {% generation %}\n{{ message.content }}\n    {% endgeneration %}\n"
    "    {% if loop.index > 3 %}{% break %}{% endif %}\n  {% endfor %}\n",
    "everything": "{%- set ns = namespace(n=0) -%}{%- macro said(m) -%}<{{ m['content'][::-1] }}>{%- endmacro -%}"
    "{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ said(m) }}{% endfor %}{{ ns.n }}{{ unk_token }}"
    "{{ messages | tojson }}{{ messages | map(attribute='role') | join('|') }}{{ strftime_now('%d %B %Y') }}"
    "{{ tools is none }}{{ documents is defined }}{{ pad_token is defined }}{{ add_generation_prompt }}",
}
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text(max_size=20)},
        optional={"name": st.text(max_size=5)},
    ),
    min_size=1,
    max_size=5,
)


def template(folder: Path, source: Any) -> ChatTemplate:
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"chat_template": source, "add_bos_token": True, **TOKENS})
    )
    return ChatTemplate(folder)


def outcome(render: Callable[[], str]) -> str:
    """The prompt, or why there is none."""
    try:
        return render()
    except Exception as error:
        return f"error: {error}"


@pytest.mark.parametrize("name", TEMPLATES)
def test_prompts_are_as_transformers_makes_them(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    made = template(tmp_path_factory.mktemp("template"), TEMPLATES[name])

    @given(MESSAGES)
    def compare(messages: list[dict[str, str]]) -> None:
        def transformers() -> str:
            found, _ = render_jinja_template(
                [messages], chat_template=TEMPLATES[name], add_generation_prompt=True, **TOKENS
            )
            return str(found[0])

        assert outcome(lambda: made.render(Chat(tuple(messages)))) == outcome(transformers)

    compare()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{% if %}", "Expected an expression"),
        ("{{ nothing.here }}", "'nothing' is undefined"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
    ],
)
def test_a_template_that_fails_says_why(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        template(tmp_path, source).render(Chat(({"role": "user", "content": "Hello"},)))


def test_which_template_a_folder_has(tmp_path: Path) -> None:
    assert find_template(tmp_path) is None
    for source, found in (
        (None, None),
        ("", None),
        ("one", "one"),
        ([{"name": "tool_use", "template": "two"}, {"name": "default", "template": "three"}], "three"),
        ([{"name": "tool_use", "template": "two"}], None),
    ):
        template(tmp_path, source)
        assert find_template(tmp_path) == found


def test_tokens_may_be_written_as_objects(tmp_path: Path) -> None:
    config = {"chat_template": "{{ bos_token }}{{ eos_token }}", "bos_token": {"content": "<b>", "special": True}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**config, "eos_token": None}))
    assert ChatTemplate(tmp_path).render(Chat(({"role": "user", "content": ""},))) == "<b>"


def tokens_are_those_of_transformers(folder: Path) -> None:
    from transformers import AutoTokenizer

    pipe, _other_end = multiprocessing.Pipe()
    batch = Batch(folder / "openvino", None, 1, 1, pipe)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chat: list[dict[str, str]] = []
    for saying in SAYINGS:
        chat += [
            {"role": "user", "content": saying},
            {"role": "assistant", "content": f" Hé!  {saying} 12</s><|im_end|>\n"},
        ]
        for messages in (chat[:-1], chat[-2:-1], [{"role": "system", "content": saying}, *chat]):
            wanted = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
            assert batch._tokens(Chat(tuple(messages))).data.flatten().tolist() == wanted
    assert batch._tokens("a bird").data.flatten().tolist() == tokenizer("a bird").input_ids  # with BOS again


@in_thread
def test_tokens_are_those_of_transformers(model_folder: Path) -> None:
    tokens_are_those_of_transformers(model_folder)


@pytest.mark.slow
@in_thread
def test_smollm2_keeps_its_template_from_the_wheel_to_the_server(tiny: str, tmp_path: Path) -> None:
    from mynah.bot import Generate
    from training.base_model import load_base
    from training.publish import write_model

    write_model(*load_base(tiny, tmp_path), tmp_path / "model", Generate())
    assert "You are a helpful AI assistant named SmolLM" in (find_template(tmp_path / "model" / "openvino") or "")
    tokens_are_those_of_transformers(tmp_path / "model")
