"""What samples of a model are like."""

from pathlib import Path

from mynah.bucket import Bucket
from mynah.recitation import Copied
from mynah.sampled import SPAN, Sampled, figures, samples_of, write_samples

LEARNT = "The early bird catches the worm, and the second mouse gets the cheese, as everybody in the house knows."
SHORT = "The early bird."


def test_a_text_recites_that_is_a_training_text_or_shares_a_dozen_words_in_a_row() -> None:
    copied = Copied.of([LEARNT, SHORT])
    words = LEARNT.split()
    says = {
        LEARNT.upper(): True,
        "the early bird!": True,
        "The early": False,
        "He said: " + " ".join(words[:SPAN]) + " today": True,
        "He said: " + " ".join(words[: SPAN - 1]) + " today": False,
        "Nothing of this was ever said by any bird before now, not even by a mynah in the rain.": False,
    }
    for text, recites in says.items():
        assert figures([(text, True)], copied).recited == recites, text
    assert copied.longest("He said: " + " ".join(words[:7]) + " today") == 7
    assert copied.longest("the early bird catches") == 0
    assert figures([(text, True) for text in says], copied).whole == 2
    near = Copied(copied.whole, copied.runs, lambda text: 0.8)
    assert figures([("Anything at all.", True)], near).reciting == ("Anything at all.",)


def test_the_figures_count_what_is_left_of_the_samples() -> None:
    samples = [("One two three.", True), ("one two THREE", True), ("Four five.", False), ("", False)]
    found = figures(samples, Copied.of([]))
    assert (found.samples, found.texts, found.finished, found.distinct) == (4, 3, 2, 2)
    assert found.distinct_2 == 0.6  # of one two, two three, one two, two three, four five
    assert (found.mean_words, found.mean_characters) == (2.7, 12.3)
    assert found.share_recited == 0
    assert figures([("", False)], Copied.of([])).share_recited == 0


def test_they_are_kept_beside_the_models_evaluations(tmp_path: Path) -> None:
    bucket = Bucket(str(tmp_path))
    assert samples_of(bucket, "demo", "m") is None
    found = figures([(LEARNT, True), ("Another.", True)], Copied.of([LEARNT]))
    write_samples(bucket, "demo", "m", found)
    assert samples_of(bucket, "demo", "m") == found
    assert isinstance(found, Sampled)
    assert bucket.names("demo", "evaluations", "m") == ["samples.json"]
