"""Asks a tweet API for known prompts at a steady rate, whatever becomes of those before; says the latencies as JSON.

    python -m tests.bench.open_loop URL BOT PROMPTS RATE SECONDS

A latency counts from when a request was due, so one that waits for those before it is not missed.
"""

import asyncio
import json
import sys
import time
from typing import Any

import httpx


async def main(url: str, bot: str, prompts: int, rate: float, seconds: float) -> dict[str, Any]:
    latencies: list[float] = []
    failed: list[str] = []
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:

        async def ask(number: int, due: float) -> None:
            try:
                found = await client.get("/tweets", params={"bot": bot, "prompt": f"known {number % prompts}"})
                if found.status_code != 200 or not found.json()["texts"]:
                    failed.append(f"{found.status_code} {found.text[:100]}")
            except httpx.HTTPError as error:
                failed.append(repr(error))
            latencies.append(time.perf_counter() - due)

        for number in range(20):  # connections, and what a first request makes
            await ask(number, time.perf_counter())
        latencies.clear()
        begin, asked = time.perf_counter(), []
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            await asyncio.sleep(max(0, due - time.perf_counter()))
            asked.append(asyncio.ensure_future(ask(number, due)))
        await asyncio.gather(*asked)
    return {"latencies": latencies, "failed": failed}


if __name__ == "__main__":
    url, bot, prompts, rate, seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(main(url, bot, int(prompts), float(rate), float(seconds)))))
