"""Which language a text is in.

py3langid tells 97 languages apart in 100 MB of memory; those of the field that are better on texts of a few words take
1.2 GB, more than a scrape's pod has. It is imported when a bot asks for it.
"""

import functools
from typing import TYPE_CHECKING

from mynah.errors import UsageError

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

UNSURE = 0.3  # below this probability, a short text could as well be in another language


def probability(text: str, languages: frozenset[str], key: str = "clean.languages") -> float:
    """How likely `text` is in one of `languages`, ISO 639 codes, in 0..1.

    Raises UsageError where one is not known; `key` is where it stands.
    """
    identifier = _identifier()
    if unknown := languages.difference(identifier.labels):
        raise UsageError(
            f"{key}: {', '.join(sorted(unknown))} cannot be told from other languages; "
            f"known: {', '.join(sorted(identifier.labels))}"
        )
    return sum(float(share) for language, share in identifier.rank(text) if language in languages)


def likeliest(text: str) -> str | None:
    """The ISO 639 code of the language that a text is probably in; None where it could be any."""
    language, share = _identifier().classify(text)
    return str(language) if share >= UNSURE else None


@functools.cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
