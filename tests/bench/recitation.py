"""How surely copied sentences are told from new ones: `make bench PART=recitation`.

Of 3,000 texts of each corpus, half are made a dataset, with its index. 200 of its sentences are copied: whole, cut (a
third of the words is gone, at the begin or the end), and lightly edited (every seventh word is another one, gone, or
changed places). 800 sentences of the other half are new. The judge is asked with its defaults. Sentences have 8 words
or more. Where the halves share a sentence, it is not new. All are sentences of cleaned texts, as a model sees them.
"""

import csv
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mynah.bot import Bot, Clean, FileSource, Judge
from mynah.bucket import Bucket
from mynah.cleaning import cleaning
from mynah.document import Document, pack
from mynah.recitation import FILE, Recitation, shingles, text_hash
from mynah.rules import copying
from mynah.sentences import ends
from mynah.text import count_words, same_text_key
from training.dataset import build

DATA = Path(__file__).parents[3] / "shared/data"
TEXTS, COPIED, NEW = 3000, 200, 800
WORDS = 8  # of a sentence, at least: what is left of a cut one is long enough to be posted
SAME = 0.8  # share of the shingles: a sentence that both halves have
RECALL, FALSE = 0.99, 0.01  # the targets


def corpora() -> Iterator[tuple[str, list[str]]]:
    with (DATA / "jokes/onelinefun.csv").open(newline="", encoding="utf-8") as file:
        yield "jokes", [row["Joke"] for row in csv.DictReader(file)]
    tweets = json.loads((DATA / "trump/condensed_2016.json").read_text("utf-8"))
    yield "trump", [tweet["text"] for tweet in tweets if not tweet["is_retweet"]]
    lines = (DATA / "horoscopes/horoscopes.csv").read_text("utf-8").splitlines()[1:]
    yield "horoscopes", [line.split("|")[1] for line in lines if line.count("|") == 3]
    messages = sorted((DATA / "telegram").glob("*.json"))
    texts = [each["text"] for path in messages for each in json.loads(path.read_text("utf-8")) if each.get("text")]
    yield "telegram (ru)", [" ".join(text.split()) for text in texts if isinstance(text, str)]


def sentences(texts: list[str]) -> list[str]:
    """Those of WORDS words or more, each once."""
    found: dict[int, str] = {}
    for text in texts:
        begin = 0
        for end in sorted(set(ends(text))):
            sentence = text[begin:end].strip()
            begin = end
            if count_words(sentence) >= WORDS:
                found[text_hash(sentence)] = sentence
    return list(found.values())


def cut(sentence: str, draw: random.Random) -> str:
    words = sentence.split()
    gone = len(words) // 3
    return " ".join(words[gone:] if draw.random() < 0.5 else words[: len(words) - gone])


def edited(sentence: str, others: list[str], draw: random.Random) -> str:
    words = sentence.split()
    for place in range(draw.randrange(3, 7), len(words), 7):
        match draw.randrange(3):
            case 0:
                words[place] = draw.choice(draw.choice(others).split())
            case 1:
                words[place] = ""
            case 2:
                words[place - 1], words[place] = words[place], words[place - 1]
    return " ".join(filter(None, words))


def index_of(texts: list[str], folder: Path) -> Recitation:
    bucket = Bucket(str(folder))
    bucket.write(
        pack([Document(id=str(i), text=text) for i, text in enumerate(texts)]), "demo", "raw", "s", "1.jsonl.zst"
    )
    made = build(Bot(name="demo", sources={"s": FileSource(url="x")}), bucket)
    return Recitation(Path(bucket.path("demo", "datasets", made.id, FILE)))


def is_known(sentence: str, known: list[set[str]]) -> bool:
    """Whether the training texts have the sentence, or nearly it."""
    mine = shingles(same_text_key(sentence))
    return any(len(mine & other) >= SAME * len(mine) for other in known if len(other) >= SAME * len(mine))


def measure(texts: list[str], seed: int = 5) -> dict[str, tuple[int, int]]:
    """Of each sort of sentence, how many were told to be copied, and how many there were."""
    draw = random.Random(seed)
    clean = cleaning(Clean())
    texts = [clean(Document(id="", text=text)).text for text in texts[:TEXTS]]
    texts = [text for text in texts if text]
    draw.shuffle(texts)
    trained, rest = sentences(texts[::2]), sentences(texts[1::2])
    with tempfile.TemporaryDirectory() as folder:
        index = index_of(texts[::2], Path(folder))
        rules, copied = Judge(), index.copied

        def told(some: list[str]) -> tuple[int, int]:
            return sum(copying(text, rules, copied) is not None for text in some), len(some)

        chosen = draw.sample(trained, COPIED)
        known = [shingles(same_text_key(sentence)) for sentence in trained]
        new = [sentence for sentence in rest[: NEW + NEW // 2] if not is_known(sentence, known)][:NEW]
        return {
            "whole": told(chosen),
            "cut": told([cut(sentence, draw) for sentence in chosen]),
            "edited": told([edited(sentence, rest, draw) for sentence in chosen]),
            "new": told(new),
        }


def main() -> None:
    """Print the table; exit 1 where a target is missed."""
    if not DATA.is_dir():
        sys.exit(f"the corpora are missing in {DATA}")
    missed = []
    print(f"{'told to be copied':<20}{'whole':>8}{'cut':>8}{'edited':>8}{'new':>8}")
    for name, texts in corpora():
        found = measure(texts)
        shares = {sort: told / of for sort, (told, of) in found.items()}
        print(f"{name:<20}" + "".join(f"{share:8.1%}" for share in shares.values()), flush=True)
        if min(shares["whole"], shares["cut"]) < RECALL:
            missed.append(f"{name}: less than {RECALL:.0%} of what was copied is told")
        if shares["new"] > FALSE:
            missed.append(f"{name}: more than {FALSE:.0%} of what is new is told to be copied")
    print("\n".join(missed) or "every target is met")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
