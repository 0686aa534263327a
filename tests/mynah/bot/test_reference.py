"""The reference page: complete, and its example works."""

import re
from pathlib import Path

from mynah.bot import BotSpec, load
from mynah.bot.accounts import KINDS as ACCOUNTS
from mynah.bot.reference import reference
from mynah.bot.sources import KINDS as SOURCES


def test_its_example_is_a_bot_file(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", reference(), re.S)
    (tmp_path / "magpie.yaml").write_text(example, "utf-8")
    assert [*load(tmp_path / "magpie.yaml").accounts_by_name()] == ["tryout", "news"]


def test_every_section_and_kind_has_a_heading_that_the_links_lead_to() -> None:
    headings = re.findall(r"^#+ (.*)$", reference(), re.M)
    assert {*BotSpec.model_fields} - {*headings} == {"description"}
    assert {f"kind: {kind}" for kind in (*SOURCES, *ACCOUNTS)} <= {*headings}
    assert {*re.findall(r"\]\(#(\w+)\)", reference())} <= {*headings}


def test_a_line_says_key_unit_default_and_meaning() -> None:
    lines = reference().splitlines()
    assert "| `eval_every` | steps, 1 or more | `25` | Steps between two measurements of the dev loss. |" in lines
    assert any(line.startswith("| `dev_fraction` | share of the texts, above 0, below 1 | `0.1` |") for line in lines)
    assert any(line.startswith("| `warmup_fraction` | share of the steps, 0 or more, below 1 |") for line in lines)
    assert any(line.startswith("| `top_p` | probability, above 0, at most 1 |") for line in lines)
    assert any(line.startswith("| `min_variety` | share of the words, 0 to 1 |") for line in lines)
    assert any(line.startswith('| `memory` | bytes per pod | `"2Gi"` |') for line in lines)
    assert any(line.startswith("| `schedule` | cron expression | none |") for line in lines)
    assert any(line.startswith("| `url` | address | **must be given** |") for line in lines)


def test_every_line_of_a_table_has_its_cells() -> None:
    for table in re.findall(r"(?:^\|.*\n)+", reference(), re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table
