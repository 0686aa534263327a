import os
import sys

import httpx

bot = sys.argv[1]
key = os.environ.get("MYNAH_API_KEY", "").split(",")[0].strip()
answer = httpx.post(
    f"http://{bot}/openai/v1/completions",
    json={"model": bot, "prompt": "", "max_tokens": 8},
    headers={"authorization": f"Bearer {key}"} if key else {},
    timeout=120,
)
print(answer.status_code, answer.text)
none_yet = {503: "has no model yet", 404: "no model"}.get(answer.status_code)
if none_yet and none_yet in answer.text:
    sys.exit(0)  # newly installed: the endpoint is there, and says so
answer.raise_for_status()
