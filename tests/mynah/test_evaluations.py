"""A comparison of two models, as it lies in the bucket."""

from pathlib import Path

from mynah.bucket import Bucket
from mynah.evaluations import evaluation, write_evaluation


def test_what_is_written_is_found_under_both_models(tmp_path: Path) -> None:
    bucket = Bucket(str(tmp_path))
    assert evaluation(bucket, "bird", "new", "old") is None
    facts = {"dataset": "d", "dev_nats_per_character": 1.5, "current_dev_nats_per_character": 1.25}
    written = write_evaluation(bucket, "bird", "new", "old", facts)
    assert evaluation(bucket, "bird", "new", "old") == written
    assert {"model": "new", "current": "old", **facts}.items() <= written.items()
    assert evaluation(bucket, "bird", "new", "other") is None
    # The same two, measured again.
    write_evaluation(bucket, "bird", "new", "old", {**facts, "dev_nats_per_character": 1.0})
    again = evaluation(bucket, "bird", "new", "old")
    assert again is not None
    assert again["dev_nats_per_character"] == 1.0
