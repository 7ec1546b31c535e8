"""Tell the story; 0 if all of it holds."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .stage import CANARIES, LOCKFILE, Stage, StepFailedError, expect, say


def main() -> int:
    """Play every act in a throw-away folder."""
    with tempfile.TemporaryDirectory(prefix="safe-remote-code-demo-") as folder:
        stage = Stage(folder=Path(folder))
        stage.build()
        try:
            _hostile_natively(stage)
            _hostile_guarded(stage)
            _honest(stage)
            _changed(stage)
        except StepFailedError as error:
            print(f"\nThe demo failed: {error}", file=sys.stderr)
            return 1
    print("\nEvery step held. The throw-away folder is gone.")
    return 0


def _heading(number: int, text: str) -> None:
    print(f"\n== {number}. {text}\n", flush=True)


def _hostile_natively(stage: Stage) -> None:
    _heading(1, "transformers alone loads a hostile repository")
    say(
        "A repository on the Hub may hold Python code. demo/hostile_repository does: a small model, and two canaries, "
        "harmless files that its code creates in this throw-away folder where real malware would do harm."
    )
    stage.act("native_hostile")
    expect(stage.canaries() == list(CANARIES), f"left behind: {', '.join(stage.canaries())}")
    for name in CANARIES:
        (stage.folder / name).unlink()


def _hostile_guarded(stage: Stage) -> None:
    _heading(2, "safe_remote_code refuses it")
    say("The same call, with our loader in the place of transformers'. First: nobody approved this code.")
    stage.act("guarded_hostile")
    print()
    say("Suppose that somebody pins it without reading. The pin says which bytes are meant, not that they may run.")
    stage.command("pin", "hostile_repository", "--lockfile", LOCKFILE)
    stage.act("guarded_hostile")
    expect(stage.canaries() == [], "no canary was touched: not a line of it ran")


def _honest(stage: Stage) -> None:
    _heading(3, "a model whose code is pinned works as ever")
    stage.command("pin", "small_model", "--lockfile", LOCKFILE)
    stage.act("model")


def _changed(stage: Stage) -> None:
    _heading(4, "one byte of that code changes")
    path = stage.folder / "small_model" / "modeling_larch.py"
    data = bytearray(path.read_bytes())
    place = data.index(b"return ")
    data[place + len(b"return")] = ord("\t")  # to Python it means the same: identity is about bytes, not about looks
    path.write_bytes(data)
    say(f"In {path.name}, byte {place + len(b'return')} was a space and is a tab now.")
    stage.act("changed_model")


if __name__ == "__main__":
    sys.exit(main())
