"""What the environment says, and the home that it names."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mynah.settings import Settings


def test_threads_may_make_the_home_at_once(tmp_path: Path) -> None:
    """A training's lease is renewed in a thread, while the training asks Postgres too."""
    settings = Settings.read({"MYNAH_HOME": str(tmp_path / "home")})
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: settings.make_home(), range(4000)))
    assert set(made) == {settings.home}
    assert list(settings.home.iterdir()) == []


def test_private_addresses_are_allowed_to_all_to_none_or_to_hosts_by_name() -> None:
    read = {value: Settings.read({"MYNAH_ALLOW_PRIVATE": value}).allow_private for value in ("", "0", "1")}
    assert read == {"": False, "0": False, "1": True}
    named = Settings.read({"MYNAH_ALLOW_PRIVATE": "Wiki.internal, 10.0.0.7,[::1],"}).allow_private
    assert named == {"wiki.internal", "10.0.0.7", "::1"}
