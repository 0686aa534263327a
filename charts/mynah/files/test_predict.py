import sys

import httpx

bot = sys.argv[1]
answer = httpx.post(
    f"http://{bot}/openai/v1/completions",
    json={"model": bot, "prompt": "", "max_tokens": 8},
    timeout=120,
)
print(answer.status_code, answer.text)
if answer.status_code == 503 and "has no model yet" in answer.text:
    sys.exit(0)  # newly installed: the endpoint is there, and says so
answer.raise_for_status()
