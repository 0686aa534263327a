"""The tokens of a text, told with their logarithmic probabilities."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from serving.model.messages import Token

if TYPE_CHECKING:
    from serving.model.scoring import Likeliest, Scoring

MOST = 8  # tokens that a character may be spread over: four bytes, and room for what a tokenizer puts between


class Pieces:
    """Takes the tokens of a text one by one. What they add to it makes the text, put together."""

    def __init__(self, decode: Callable[[Sequence[int]], str], before: int | None) -> None:
        """`decode` leaves special tokens out. `before` is the token before the first one, if there is one.

        Each piece is decoded with the token before it: some tokenizers drop the space before a first word.
        """
        self._decode = decode
        self._before = [] if before is None else [before]
        self._held: list[int] = []

    def peek(self, id: int) -> str:
        """What this token would add."""
        before = len(self._decode(self._before)) if self._before else 0
        return self._decode([*self._before, *self._held, id])[before:]

    def add(self, id: int) -> str:
        """What this token adds; "" while it ends inside a character, which the next one completes."""
        piece = self.peek(id)
        self._held.append(id)
        if piece.endswith("\ufffd") and len(self._held) < MOST:
            return ""
        if piece:  # a special token is no context for the next one
            self._before = [id]
        self._held.clear()
        return piece


class Details:
    """The tokens of one text, or of its prompt and it."""

    def __init__(self, tokenizer: Any, prompt: list[int], echo: bool, scoring: "Scoring | None") -> None:
        """`tokenizer` is OpenVINO GenAI's. With `echo`, the prompt's tokens are told too.

        With `scoring`, each token comes with the likeliest ones in its place.
        """
        self._tokenizer = tokenizer
        self._prompt = prompt
        self._echoed: list[float] = []
        self._scoring = scoring
        self._pieces = Pieces(tokenizer.decode, None if echo else prompt[-1])
        self._told = 0 if echo else len(prompt)  # tokens, of the prompt and the text
        self._scored = 0
        self._likeliest: dict[int, Likeliest] = {}  # place → what was likeliest there

    def echo(self, logprobs: Sequence[float]) -> None:
        """Take logarithmic probabilities of the prompt, as OpenVINO gives them, from its first token on."""
        self._echoed += logprobs

    def new(self, ids: list[int], logprobs: list[float]) -> tuple[Token, ...]:
        """The tokens that were not told yet. `ids` and `logprobs` are the text's so far."""
        whole = [*self._prompt, *ids]
        of_prompt: list[float | None] = [None] * len(self._prompt)
        of_prompt[1 : len(self._echoed)] = self._echoed[1:]  # OpenVINO's first one says nothing
        known = of_prompt + logprobs
        if self._scoring and len(whole) - 1 > self._scored:
            found = self._scoring.add(whole[self._scored : -1])
            self._likeliest = dict(enumerate(found, self._scored + 1))
            self._scored = len(whole) - 1
        begin, self._told = self._told, len(whole)
        return tuple(self._token(whole[place], known[place], place) for place in range(begin, len(whole)))

    def _token(self, id: int, logprob: float | None, place: int) -> Token:
        likeliest = [self._likely(one, known) for one, known in self._likeliest.get(place, ())]
        special = self._is_special(id)
        text = self._pieces.add(id)
        token = Token(id, self._name(id) if special else text, logprob, special)
        # The engine's own number counts where both tell one: the two differ by a thousandth or so.
        if logprob is not None:
            likeliest = [token if one.id == id else one for one in likeliest]
        return replace(token, likeliest=tuple(likeliest))

    def _likely(self, id: int, logprob: float) -> Token:
        """What could have come. A token that ends inside a character, as several may, has its number for a name."""
        special = self._is_special(id)
        text = self._name(id) if special else self._pieces.peek(id)
        return Token(id, f"token_id:{id}" if "\ufffd" in text else text, logprob, special)

    def _is_special(self, id: int) -> bool:
        return not self._tokenizer.decode([id]) and bool(self._name(id))

    def _name(self, id: int) -> str:
        name: str = self._tokenizer.decode([id], skip_special_tokens=False)
        return name
