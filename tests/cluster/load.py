"""Asks a model server without pause, and says a line a request: ok|failed SECONDS MODEL-OR-WHY.

    python load.py URL MODEL REQUESTS_A_SECOND

Each request starts at its time, whatever became of those before. Every second one opens a connection of its own, as
many clients do; the others share one that is kept alive.
"""

import itertools
import sys
import threading
import time

import httpx

url, model, rate = sys.argv[1], sys.argv[2], float(sys.argv[3])
path = f"{url}/v2/models/{model}/infer"
body = {
    "inputs": [{"name": "prompt", "shape": [1], "datatype": "BYTES", "data": ["A wise man"]}],
    "parameters": {"max_tokens": 4},
}


def ask(client: httpx.Client | None) -> None:
    begin = time.monotonic()
    try:
        # verify=False spares reading the certificates, which takes longer than a request.
        answer = client.post(path, json=body) if client else httpx.post(path, json=body, timeout=60, verify=False)
        fine, what = answer.status_code == 200, f"{answer.status_code} {answer.text[:100]}"
        if fine:
            what = answer.json()["model_version"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        fine, what = False, f"{type(error).__name__}: {error}"
    word = "ok" if fine else "failed"
    sys.stdout.write(f"{word} {time.monotonic() - begin:.3f} {' '.join(what.split())}\n")  # in one piece
    sys.stdout.flush()


shared = httpx.Client(timeout=60, verify=False)
for number in itertools.count():
    begin = time.monotonic()
    threading.Thread(target=ask, args=(shared if number % 2 else None,)).start()
    time.sleep(max(0, 1 / rate - (time.monotonic() - begin)))
