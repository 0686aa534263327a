"""What the server and its engine process tell each other."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation. The model's chat template makes the prompt of it."""

    messages: tuple[dict[str, str], ...]
    """Each has a role and a content, and may have a name."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One text to write. The fields are Sampling's; `seed` is this text's own."""

    prompt: str | tuple[int, ...] | Chat
    """A text, its tokens, or what has been said so far."""
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    repetition_penalty: float
    presence_penalty: float
    frequency_penalty: float
    seed: int
    stop: tuple[str, ...]
    stream: bool
    """Send the text as it comes, not only at its end."""
    logprobs: int | None
    """Tell every token with its logarithmic probability, and as many of the likeliest in its place; None: tell none."""
    echo: bool = False
    """Tell the prompt before the text, as if it were written too."""
    alone: bool = False
    """Write it beside no other request's texts: those that are written with it change the last digits of what it is
    computed from, and now and then a word."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text."""

    id: int
    text: str
    """What it adds to the text; of a special token, which adds nothing, its name."""
    logprob: float | None
    """Natural. None of the first token of a prompt, which nothing comes before."""
    special: bool
    likeliest: tuple["Token", ...] = ()
    """The likeliest tokens in its place, as many as were asked for. One that ends inside a character is called
    token_id:N, its number."""


@dataclass(frozen=True, slots=True)
class Event:
    """What is new of one text."""

    id: int
    text: str
    """What follows the text of the event before."""
    prompt_tokens: int
    tokens: int
    """Tokens written so far."""
    finish: str | None = None
    """Set on the last event: eos_token, stop_sequence, length, or cancelled."""
    first_at: float | None = None
    """On the last event: when its first token was there, by time.monotonic(), which all processes share."""
    details: tuple[Token, ...] = ()
    """Its tokens since the event before, where asked for."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The engine does not write or does not finish this text; `status` is HTTP's."""

    id: int
    status: int
    message: str
    param: str = "prompt"
    """The field at fault."""


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the engine is."""

    running: int
    """Texts that are being written."""
    waiting: int
    """Texts that wait for their turn."""
    cache_usage: float
    """Part of the cache of keys and values that is full, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A step of the start: sent without `seconds` when it begins, and with them when it ends."""

    what: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """The model has answered its first request."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The model cannot be loaded."""

    reason: str
