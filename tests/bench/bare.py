"""What `make bench PART=playing` compares known prompts with: a FastAPI route that runs the same query, and no more.

python -m tests.bench.bare PORT
"""

import os
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI

from mynah.database import prompts
from mynah.settings import Settings
from serving.tweets.asked import Sampling
from serving.tweets.server import connections


def main(port: int) -> None:
    app = FastAPI()
    sampling = prompts.canonical(Sampling().model_dump())
    with connections(Settings.read(os.environ)) as pool:

        @app.get("/tweets")
        def tweets(bot: str, prompt: str) -> dict[str, Any]:
            with pool.connection() as connection:
                found = prompts.visit(connection, bot, prompt, sampling)
            return {"texts": found.answer.texts if found.answer else []}

        uvicorn.run(app, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
