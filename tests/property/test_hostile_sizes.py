"""Input that is large in one direction is refused, with a reason, by a process that stays small and ends soon.

The bound on time is the time limit of the process, so that a hang fails and a slow machine does not.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("RestrictedPython")

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 60
_MEMORY_BYTES = 3 << 30

#: An expression that makes the files of the repository, as {path: bytes}.
REFUSED = {
    "deep brackets": 'one("x = " + "[" * 100_000 + "]" * 100_000)',
    "deep brackets that the parser takes": 'one("x = " + "[" * 190 + "]" * 190)',
    "deep unary operators": 'one("x = " + "-" * 1_000_000 + "1")',
    "deep attributes": 'one("x = a" + ".b" * 9_000)',
    "deep calls": 'one("x = a" + "()" * 9_000)',
    "deep binary operators": 'one("x = 1" + "+1" * 9_000)',
    "deep blocks": 'one("".join(" " * i + "if x:\\n" for i in range(110)) + " " * 110 + "pass")',
    "deep functions": 'one("".join(" " * i + f"def f{i}():\\n" for i in range(110)) + " " * 110 + "pass")',
    "deep lambdas": 'one("x = " + "lambda: " * 2_400 + "1")',
    "deep conditional expressions": 'one("x = " + "1 if a else " * 1_500 + "1")',
    "deep f-strings": 'one("x = " + "f\\"{" * 150 + "1" + "}\\"" * 150)',
    "a chain of elif": 'one("if a: pass\\n" + "elif a: pass\\n" * 5_000)',
    "a huge decimal integer": 'one("x = " + "9" * 19_000)',
    "a huge hexadecimal integer": 'one("x = 0x" + "f" * 19_000)',
    "a huge power that a compiler could fold": 'one("x = 9 ** 9 ** 9 ** 9; eval(x)")',
    "a huge repetition that a compiler could fold": 'one("x = (\\"a\\" * 4096) * 4096 * 4096; eval(x)")',
    "a long line": 'one("x = \\"" + "a" * 30_000 + "\\"")',
    "one line of two megabytes": 'one("#" + "a" * (2 << 20))',
    "a file that is too large": 'one("x = 1\\n" * (1 << 19))',
    "too many nodes": 'one("x = [\\n" + "a,\\n" * 500_000 + "]")',
    "10,000 files": '{f"m{i}.py": b"x = 1" for i in range(10_000)}',
    "too many bytes in files of allowed size": '{f"m{i}.py": b"#" * 19_000 + b"\\n" * (1 << 20) for i in range(20)}',
    "a NUL byte": 'one("x = 1\\0")',
    "a NUL byte in a comment": 'one("# \\0")',
    "a lone carriage return": 'one("# a\\rimport os")',
    "UTF-16": '{"model.py": "x = 1".encode("utf-16")}',
    "an overlong encoding": '{"model.py": b"x = \\xc0\\xaf"}',
    "a surrogate": '{"model.py": b"x = \\xed\\xa0\\x80"}',
    "nothing": "{}",
    "many bad escapes": 'one("\\\\N{x}" * 1_000)',
}
#: Found by the fuzzer: each once made something run for ever, or fall.
ANSWERED = {
    "global at the top of a file": 'one("global x\\nx = torch.backends\\nx.cudnn.enabled = False")',
    "nonlocal at the top of a file": 'one("nonlocal x\\nx = torch.backends\\nx.cudnn.enabled = False")',
    "nonlocal of a name bound below": 'one("def f():\\n def g():\\n  nonlocal x\\n  x.y = 1\\n x = torch")',
}
_PROBE = """
import sys
from safe_remote_code.analyse import analyse
from safe_remote_code.capability import shipped_capabilities
from safe_remote_code.admit import judge
from safe_remote_code.errors import RemoteCodeError
from safe_remote_code.policy import load_policy
from safe_remote_code.snapshot import SourceFile, snapshot

def one(text):
    return {"model.py": text.encode()}

try:
    whole = snapshot(SourceFile(path=path, data=data) for path, data in (EXPRESSION).items())
    judge(analyse(whole), load_policy("default"), "hub:a/b")
except RemoteCodeError as error:
    print(type(error).__name__, str(error)[:500])
    sys.exit(3)
"""
_DIRECTLY = """
import sys
from safe_remote_code.capability import shipped_capabilities
from safe_remote_code.errors import RemoteCodeError
from safe_remote_code.guard.transform import transform
from safe_remote_code.snapshot import SourceFile, snapshot
from safe_remote_code.syntax import parse

def one(text):
    return {"model.py": text.encode()}

try:
    for file in snapshot(SourceFile(path=path, data=data) for path, data in (EXPRESSION).items()).files:
        transform(parse(file.text, file.path), file.path, shipped_capabilities().attributes)
except RemoteCodeError as error:
    print(type(error).__name__, str(error)[:500])
    sys.exit(3)
"""


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=_SECONDS,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES)),
    )  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_a_reason(name: str) -> None:
    done = _run(_PROBE.replace("EXPRESSION", REFUSED[name]))
    assert (done.returncode, done.stderr[-500:]) == (3, "")
    assert done.stdout.startswith(("RefusedError", "PolicyError"))


@pytest.mark.parametrize("name", ANSWERED)
def test_it_is_answered(name: str) -> None:
    done = _run(_PROBE.replace("EXPRESSION", ANSWERED[name]))
    assert done.returncode in (0, 3), done.stderr[-500:]


@pytest.mark.parametrize("name", [name for name in REFUSED if name.startswith(("deep", "a chain", "too many nodes"))])
def test_the_guard_alone_neither_crashes_nor_hangs(name: str) -> None:
    """With the analysis switched off nobody else has looked at the text."""
    done = _run(_DIRECTLY.replace("EXPRESSION", REFUSED[name]))
    assert done.returncode in (0, 3), done.stderr[-500:]
