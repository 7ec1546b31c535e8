"""Throws mutated real code at everything that reads unverified text, and keeps what goes wrong.

    python -m tests.property.fuzz [--minutes 20] [--seed N]

Seeds are our fixtures and the modelling files of the installed transformers. Each input must be, in this order, a
`SourceFile` or a refusal; an analysis; a guarded tree or a refusal; code, exactly if CPython can compile it. Reported:

crash         an exception that is not ours, or the end of the process
hang          more than 20 seconds for one input
disagreement  the guard takes what the analysis refuses by grammar, or the other way round; or only one of the guarded
              and the plain text compiles

What was found lies in build/fuzz/, named by kind and content. Ends with 1 if anything was.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib.util
import os
import random
import re
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from safe_remote_code.analyse import analyse
from safe_remote_code.capability import shipped_capabilities
from safe_remote_code.errors import RemoteCodeError
from safe_remote_code.guard.transform import transform
from safe_remote_code.snapshot import SourceFile, snapshot
from safe_remote_code.syntax import parse

ROOT = Path(__file__).resolve().parents[2]
FOUND = ROOT / "build" / "fuzz"
SECONDS_PER_INPUT = 20
BATCH = 200
MAX_SEED_BYTES = 20_000
#: Rules of the analysis that speak of the grammar alone, so that the guard must refuse as well.
GRAMMAR_RULES = {"unknown-syntax", "special-attribute", "special-name", "special-method"}
#: But for what the guard refuses when the class statement runs.
AT_RUN_TIME = ("may not choose its metaclass", "_compatible_flash_implementations")

_NAME = re.compile(rb"[A-Za-z_]\w*")
_WORDS = [
    word.encode()
    for word in """__class__ __globals__ __builtins__ __dict__ __init__ __reduce__ __del__ __getattr__ __subclasses__
    gi_frame f_back co_code tb_frame obj mro format register getattr setattr hasattr type eval exec open vars os sys
    torch self cls super lambda yield await async match case _ x nonlocal global None True import from as
    __annotations__ __slots__ __name__ __import__ __debug__ metaclass ｅｖａｌ __class_getitem__ __match_args__""".split()
]
_LINES = [
    b"import os", b"from . import x", b"from .x import *", b"x: 'y[0]' = 1", b"del x.y", b"x.y += 1", b"@x.y",
    b"class A(B, metaclass=C): pass", b"match x:\n    case A(b=c): pass\n    case [*_, y] | {**z}: pass",
    b"try:\n    pass\nexcept* E as e:\n    pass", b"async def f(): await x", b"(y := x.z)", b"with a as b.c, d as e[f]: pass",
    b"for x.y in z: pass", b"[a for b.c in d]", b"lambda *, __class__: 0", b"def f(a, /, *b, c: 'd' = e, **g) -> 'h': pass",
    b"f'{x!r:{y}}' '{0.a}'.format(z)", b"global x", b"return", b"break", b"type(x, y, z)", b"getattr(x, '__' + 'y')",
    b"from __future__ import annotations", b"assert x, y", b"raise x from y", b"print(x, file=y)", b"# -*- coding: utf-7 -*-",
]  # fmt: skip


class Problem(NamedTuple):
    """What went wrong with one input."""

    kind: str
    message: str


def seeds() -> list[bytes]:
    """Texts to start from, the smaller ones of transformers included."""
    folders = [ROOT / "fixtures" / "models", ROOT / "fixtures" / "rules", ROOT / "fixtures" / "escapes"]
    spec = importlib.util.find_spec("transformers")
    if spec is not None and spec.submodule_search_locations:
        folders.append(Path(spec.submodule_search_locations[0]) / "models")
    paths = (path for folder in folders for path in sorted(folder.rglob("*.py")))
    return [data[:MAX_SEED_BYTES] for path in paths if (data := path.read_bytes())]


def mutate(data: bytes, corpus: Sequence[bytes], chance: random.Random) -> bytes:
    """`data`, a window of it, with one to six changes."""
    lines = data.split(b"\n")
    start = chance.randrange(len(lines))
    lines = lines[start : start + chance.randint(1, 80)] if chance.random() < 0.7 else lines
    for _ in range(chance.randint(1, 6)):
        chance.choice(_MUTATIONS)(lines, corpus, chance)
        lines = lines or [b""]
    text = b"\n".join(lines)
    return _flip(text, chance) if chance.random() < 0.1 else text


def _insert(lines: list[bytes], _: Sequence[bytes], chance: random.Random) -> None:
    place = chance.randrange(len(lines))
    indent = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
    lines[place:place] = [indent + line for line in chance.choice(_LINES).split(b"\n")]


def _rename(lines: list[bytes], _: Sequence[bytes], chance: random.Random) -> None:
    place = chance.randrange(len(lines))
    names = list(_NAME.finditer(lines[place]))
    if names:
        found = chance.choice(names)
        lines[place] = lines[place][: found.start()] + chance.choice(_WORDS) + lines[place][found.end() :]


def _drop(lines: list[bytes], _: Sequence[bytes], chance: random.Random) -> None:
    del lines[chance.randrange(len(lines))]
    lines[:] = lines or [b""]


def _repeat(lines: list[bytes], _: Sequence[bytes], chance: random.Random) -> None:
    place = chance.randrange(len(lines))
    lines[place:place] = lines[place : place + 3] * chance.randint(1, 3)


def _splice(lines: list[bytes], corpus: Sequence[bytes], chance: random.Random) -> None:
    other = chance.choice(corpus).split(b"\n")
    start, place = chance.randrange(len(other)), chance.randrange(len(lines))
    lines[place:place] = other[start : start + chance.randint(1, 15)]


def _indent(lines: list[bytes], _: Sequence[bytes], chance: random.Random) -> None:
    place = chance.randrange(len(lines))
    lines[place] = chance.choice((b"    ", b"\t", b" ")) + lines[place] if chance.random() < 0.5 else lines[place].lstrip()


def _wrap(lines: list[bytes], _: Sequence[bytes], chance: random.Random) -> None:
    head = chance.choice((b"def f(self):", b"class A:", b"if x:", b"try:", b"with a:", b"while 1:", b"for i in x:"))
    lines[:] = [head, *(b"    " + line for line in lines)]
    if head == b"try:":
        lines += [b"finally:", b"    pass"]


_MUTATIONS = (_insert, _insert, _rename, _rename, _rename, _drop, _repeat, _splice, _indent, _wrap)


def _flip(text: bytes, chance: random.Random) -> bytes:
    changed = bytearray(text or b"\0")
    changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def examine(data: bytes) -> Problem | None:
    """Put `data` through everything; None if all of it agrees."""
    try:
        return _examine(data)
    except Exception:
        return Problem("crash", traceback.format_exc())


def _examine(data: bytes) -> Problem | None:
    try:
        file = SourceFile(path="model.py", data=data)
        whole = snapshot([file])
    except RemoteCodeError:
        return None
    findings = [finding for finding in analyse(whole).findings if finding.enforcement == "refuse"]
    try:
        tree = transform(parse(file.text, file.path), file.path, shipped_capabilities().attributes)
    except RemoteCodeError as error:
        if findings or _compiles(file.text):
            return None
        return Problem("disagreement", f"only the guard refuses: {error}")
    said = [str(finding) for finding in findings if finding.rule in GRAMMAR_RULES | {"unreadable"}]
    if said := [text for text in said if not any(word in text for word in AT_RUN_TIME)]:
        return Problem("disagreement", f"only the analysis refuses: {said[:3]}")
    ours, plain = _compiles(tree), _compiles(file.text)
    if ours == plain or _is_accepted(ours):
        return None
    return Problem("disagreement", f"compiles: guarded {ours}, plain {plain}")


def _compiles(source: str | ast.Module) -> str:
    try:
        compile(source, "model.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return getattr(error, "msg", "") or str(error)
    return ""


def _is_accepted(ours: str) -> bool:
    """An import is an assignment under the guard, so that `global` after it is an error (CPython lets that pass)."""
    return "before global declaration" in ours or "before nonlocal declaration" in ours


# --- processes -----------------------------------------------------------------------


def _child(seed: int, corpus: Sequence[bytes], current: Path) -> None:
    """Examine one batch. The input at work is on disk, for whoever finds this process dead."""
    chance = random.Random(seed)
    for _ in range(BATCH):
        data = mutate(chance.choice(corpus), corpus, chance)
        current.write_bytes(data)
        signal.alarm(SECONDS_PER_INPUT)  # no handler: the process ends
        problem = examine(data)
        signal.alarm(0)
        if problem is not None:
            keep(problem, data)


def keep(problem: Problem, data: bytes) -> None:
    FOUND.mkdir(parents=True, exist_ok=True)
    stem = FOUND / f"{problem.kind}-{hashlib.sha256(data).hexdigest()[:12]}"
    stem.with_suffix(".py").write_bytes(data)
    stem.with_suffix(".txt").write_text(problem.message, encoding="utf-8", errors="replace")


def run(minutes: float, seed: int) -> int:
    """Fuzz for `minutes`; the number of problems."""
    warnings.simplefilter("ignore")
    corpus, started, done, before = seeds(), time.monotonic(), 0, set(FOUND.glob("*.txt"))
    current = FOUND.parent / f"fuzz-{os.getpid()}.current"
    current.parent.mkdir(parents=True, exist_ok=True)
    print(f"{len(corpus)} seeds, {minutes:g} minutes, seed {seed}", flush=True)
    while time.monotonic() - started < minutes * 60:
        pid = os.fork()
        if pid == 0:
            _child(seed + done, corpus, current)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status != 0:
            keep(Problem("hang" if status == -signal.SIGALRM else "crash", f"process ended with {status}"), current.read_bytes())
        done += BATCH
        if done % (50 * BATCH) == 0:
            _tell(done, started, before)
    current.unlink(missing_ok=True)
    _tell(done, started, before)
    return len(set(FOUND.glob("*.txt")) - before)


def _tell(done: int, started: float, before: set[Path]) -> None:
    kinds = Counter(path.name.partition("-")[0] for path in set(FOUND.glob("*.txt")) - before)
    found = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())) or "nothing found"
    print(f"{time.monotonic() - started:6.0f} s: {done} inputs, {found}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Fuzz everything that reads unverified text.")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    found = run(options.minutes, options.seed)
    if found:
        print(f"{found} problems, in {FOUND}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
