"""Asks the tweet API as people do, and says a line a prompt: ok|failed SECONDS {"texts": […], "waits": […]} or why.

    python ask.py URL TIMES WAIT PROMPT        the same prompt so often at once
    python ask.py URL until-told WAIT PROMPT   one known and one new prompt after the other, without pause

Who is told to ask again (202, Retry-After) does so, at the Location; each time is one of `waits`: [phase, seconds].
"""

import itertools
import json
import sys
import threading
import time

import httpx

url, times, wait, prompt = sys.argv[1:]


def ask(client, prompt, **more):
    """The texts, and what was said until they were there. Raises ValueError where there are none."""
    waits = []
    answer = client.get("/tweets", params={"prompt": prompt, "wait": wait, **more})
    while answer.status_code == 202:
        told = answer.json()
        waits.append([told["phase"], told["seconds"]])
        time.sleep(float(answer.headers["retry-after"]))
        answer = client.get(answer.headers["location"])
    if answer.status_code != 200:
        raise ValueError(f"{answer.status_code} {answer.text[:200]}")
    return {"texts": [text["text"] for text in answer.json()["texts"]], "waits": waits}


def say(client, prompt, **more):
    begin = time.monotonic()
    try:
        word, what = "ok", json.dumps(ask(client, prompt, **more))
    except Exception as error:  # whatever it is, somebody has no answer
        word, what = "failed", f"{type(error).__name__}: {error}"
    sys.stdout.write(f"{word} {time.monotonic() - begin:.3f} {' '.join(what.split())}\n")  # in one piece
    sys.stdout.flush()


def fresh():
    # verify=False spares reading the certificates, which takes longer than a request.
    return httpx.Client(base_url=url, timeout=60, verify=False)


if times == "until-told":
    kept = fresh()
    for number in itertools.count():
        say(kept, prompt)  # on a connection that stays open
        for text, more in ((prompt, {}), (f"{prompt} {number}", {"num_samples": 1, "length": 4})):
            with fresh() as client:
                say(client, text, **more)
else:
    people = [threading.Thread(target=say, args=(fresh(), prompt)) for _ in range(int(times))]
    for each in people:
        each.start()
    for each in people:
        each.join()
