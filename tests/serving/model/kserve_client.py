"""KServe's own client, from a test that is not asynchronous."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from kserve import InferenceRESTClient, RESTConfig

T = TypeVar("T")


def ask(protocol: str, question: Callable[[InferenceRESTClient], Coroutine[Any, Any, T]]) -> T:
    async def main() -> T:
        async with InferenceRESTClient(RESTConfig(protocol=protocol, timeout=60)) as client:
            return await question(client)

    return asyncio.run(main())
