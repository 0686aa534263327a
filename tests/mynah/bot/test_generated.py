"""What is made from the models is what they say now."""

from pathlib import Path

import pytest

from mynah.bot.generated import FILES, write

REPO = Path(__file__).parents[3]


@pytest.mark.parametrize("name", FILES)
def test_it_is_not_stale(name: str) -> None:
    path = REPO / name
    assert path.is_file(), f"{name} is missing: run `make generate`"
    assert path.read_text("utf-8") == FILES[name](), f"{name} is stale: run `make generate`"


def test_only_what_changed_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert capsys.readouterr().out.split() == [*FILES]
    (tmp_path / "docs/bot-file.md").write_text("old", "utf-8")
    write(tmp_path)
    assert capsys.readouterr().out.split() == ["docs/bot-file.md"]
    assert (tmp_path / "docs/bot-file.md").read_text("utf-8") == FILES["docs/bot-file.md"]()
