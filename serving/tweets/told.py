"""An answer as it is told, by the API and on the page."""

import time
from typing import Any

from mynah.database.prompts import Answer
from mynah.tweet import weight
from serving.tweets import sentiment


def shape(bot: str, answer: Answer, prompt: str | None, majority: bool = False) -> dict[str, Any]:
    """What there is of an answer; `says` is for people. `majority`: only the texts that sound as most of them do.

    A written text carries its `place` among all of them, by which opinions name it.
    """
    told: dict[str, Any] = {"bot": bot, "id": str(answer.id), "model": answer.model, "state": answer.state}
    if prompt is not None:
        told["prompt"] = prompt
    if answer.state == "writing":
        phase = answer.phase or "waiting for a writer"
        seconds = max(0.0, time.time() - answer.asked_at.timestamp())
        told |= {"phase": phase, "seconds": round(seconds, 1), "before": answer.before}
    if answer.state == "failed":
        told["why"] = answer.why
    texts = [text if text.get("unfinished") else {**text, "weight": weight(text["text"])} for text in answer.texts]
    if answer.state == "written":
        told["sentiment"] = sentiment.answers(texts)
        texts = [{**without(text, "language"), "place": place} for place, text in enumerate(texts)]
        if majority and "majority" in told["sentiment"]:
            texts = [text for text in texts if text["sentiment"] == told["sentiment"]["majority"]]
    return told | {"says": says(answer, told, texts), "texts": texts}


def without(text: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in text.items() if name != field}


def says(answer: Answer, told: dict[str, Any], shown: list[dict[str, Any]]) -> str:
    """Where an answer stands, in words."""
    match answer.state:
        case "writing":
            before = f", {answer.before} before you" if answer.before else ""
            return f"{told['phase']}, {told['seconds']:.0f} s{before}"
        case "failed":
            return str(answer.why)
        case _:
            number = len(answer.texts)
            if not number:
                return "no text was good enough: try another prompt"
            if len(shown) < number:
                return (
                    f"{len(shown)} of {number} texts, those that sound {told['sentiment']['majority']}, the best first"
                )
            return f"{number} text{'s' if number > 1 else ''}, the best first"
