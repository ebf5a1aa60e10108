"""When a call to the backend is made again: only one that may be made twice, and after a wait of full jitter.

Source: AWS Architecture Blog, "Exponential Backoff And Jitter". Time and chance come in as arguments.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from sseproxy.store.contract import Busy, StoreFailure

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Retries:
    """`attempts` in all; the n-th wait is between 0 and `first * 2**n` seconds, `longest` at most."""

    attempts: int = 4
    first: float = 0.1
    longest: float = 5.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random

    async def run(self, call: Callable[[], Awaitable[_T]], *, again: bool = True) -> _T:
        """Call until it succeeds or fails for good. With `again` false: once."""
        for attempt in range(self.attempts - 1 if again else 0):
            try:
                return await call()
            except (Busy, StoreFailure):
                await self.sleep(self.random() * min(self.longest, self.first * 2**attempt))
        return await call()
