"""Asks a model server without pause, and says a line a request: ok|failed CLIENT SECONDS MODEL-OR-WHY.

    python load.py URL MODEL REQUESTS_A_SECOND

Each request starts at its time, whatever became of those before. The clients take turns: `new` opens a connection for
each request, as many do; httpx, requests and openai keep theirs open. None tries a failed request again.
"""

import itertools
import sys
import threading
import time

import httpx
import openai
import requests

url, model, rate = sys.argv[1], sys.argv[2], float(sys.argv[3])
path = f"{url}/v2/models/{model}/infer"
body = {
    "inputs": [{"name": "prompt", "shape": [1], "datatype": "BYTES", "data": ["A wise man"]}],
    "parameters": {"max_tokens": 4},
}


# verify=False spares reading the certificates, which takes longer than a request.
kept = httpx.Client(timeout=60, verify=False)
session = requests.Session()
client = openai.OpenAI(
    base_url=f"{url}/openai/v1",
    api_key="none",
    max_retries=0,
    timeout=60,
    http_client=openai.DefaultHttpxClient(verify=False),
)


def answered(answer):
    """The model that an answer of V2 is from. Raises ValueError where it is none."""
    if answer.status_code != 200:
        raise ValueError(f"{answer.status_code} {answer.text[:100]}")
    return answer.json()["model_version"]


CLIENTS = {
    "new": lambda: answered(httpx.post(path, json=body, timeout=60, verify=False)),
    "httpx": lambda: answered(kept.post(path, json=body)),
    "requests": lambda: answered(session.post(path, json=body, timeout=60)),
    "openai": lambda: client.completions.create(model=model, prompt="A wise man", max_tokens=4).system_fingerprint,
}


def ask(name):
    begin = time.monotonic()
    try:
        word, what = "ok", CLIENTS[name]()
    except Exception as error:  # whatever it is, the request is lost
        word, what = "failed", f"{type(error).__name__}: {error}"
    sys.stdout.write(f"{word} {name} {time.monotonic() - begin:.3f} {' '.join(str(what).split())}\n")  # in one piece
    sys.stdout.flush()


begin = time.monotonic()
for number, name in enumerate(itertools.cycle(CLIENTS)):
    threading.Thread(target=ask, args=(name,)).start()
    time.sleep(max(0, begin + (number + 1) / rate - time.monotonic()))
