"""A hostile worker that says anything: 100,000 messages through the parent's real channel.

    python -m tests.worker.fuzz [--messages N] [--seed S]

Each answer must come out as a value made of plain kinds, as an error that a worker may raise, or as a
`WorkerError`; quickly; and the worker must be ended whenever it broke the protocol.
"""

from __future__ import annotations

import argparse
import random
import socket
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from safe_remote_code.errors import WorkerError  # noqa: E402  # the path is set above
from safe_remote_code.integrations.worker import models  # noqa: E402, F401  # fills the table of proxies
from safe_remote_code.integrations.worker.pool import Worker  # noqa: E402
from safe_remote_code.integrations.worker.values import output_classes  # noqa: E402
from safe_remote_code.worker.arena import Arena  # noqa: E402
from safe_remote_code.worker.channel import Channel  # noqa: E402
from safe_remote_code.worker.failures import raised  # noqa: E402
from worker.lies import Liar  # noqa: E402

#: No answer takes longer: what cannot be judged at once must not hold the parent up.
SLOWEST_SECONDS = 2.0


def bare_worker() -> Worker:
    """A `Worker` without a process: what decodes, with the tables that a real one has."""
    import weakref
    from collections import deque

    from PIL import Image  # noqa: F401  # imported when first needed, which takes seconds
    from transformers import BatchEncoding, GenerationConfig, PretrainedConfig  # noqa: F401

    output_classes()
    worker = Worker.__new__(Worker)
    worker.digest = "sha256:" + "0" * 64
    worker._held, worker._released = weakref.WeakValueDictionary(), deque()
    return worker


class Line:
    """The parent's channel to a liar, which has said everything before it is asked."""

    def __init__(self, said: bytes, *, streams: bool, closes: bool = True, reply_seconds: float = 5.0) -> None:
        ours, self.theirs = socket.socketpair()
        self.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        self.theirs.setblocking(False)
        try:
            self.theirs.send(said)
        except BlockingIOError:
            pass
        if closes:
            self.theirs.shutdown(socket.SHUT_WR)
        self.ended = 0
        self.streams = streams
        self.channel = Channel(ours, reply_seconds, self._end, 1 << 24)
        self.channel._arenas["out"] = Arena.create(1 << 12)
        self.channel._conversation.arena_bytes = 1 << 12

    def _end(self, _: float) -> str:
        self.ended += 1
        return "the liar was ended"

    def ask(self, worker: Worker) -> tuple[str, Any]:
        """What comes of one request."""
        feed = (lambda value: None) if self.streams else None
        return self.channel.ask("call", None, worker._decode, on_stream=feed)

    def close(self) -> None:
        self.channel.end("done")
        self.theirs.close()


def one(liar: Liar, worker: Worker, pick: random.Random) -> str:
    """One message through one channel; what it came to.

    Raises:
        AssertionError: it confused the parent.
    """
    said = liar.bytes_for(1)
    line = Line(said, streams=pick.random() < 0.3)
    start = time.monotonic()
    try:
        kind, value = line.ask(worker)
        if kind == "failure":
            try:
                return f"error {type(raised(value, loading=pick.random() < 0.5)).__name__}"
            except WorkerError as error:
                return type(error).__name__
        return "value"
    except WorkerError as error:
        assert line.ended, f"not ended after {said[:200]!r}"
        return type(error).__name__
    finally:
        line.close()
        assert time.monotonic() - start < SLOWEST_SECONDS, f"slow: {said[:200]!r}"


def run(messages: int, seed: int) -> Counter[str]:
    """`messages` messages; how many came to what."""
    liar, pick, worker = Liar(seed), random.Random(seed), bare_worker()
    return Counter(one(liar, worker, pick) for _ in range(messages))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.monotonic()
    counted = run(options.messages, options.seed)
    for name, count in counted.most_common():
        print(f"{count:>8}  {name}")
    print(f"{counted.total()} messages, {time.monotonic() - start:.0f} s: no hang, no crash, nothing else")


if __name__ == "__main__":
    main()
