"""Proof of reach (DESIGN §7): nothing that guarded code can walk to is more than it was granted."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("transformers")

from safe_remote_code.guard.context import PackageContext  # after the skip
from safe_remote_code.guard.runtime import Runtime
from safe_remote_code.policy import Policy, load_policy

from .crawler import Crawler, Reach, instances, roots

#: A longer run (`make reach`) raises both.
SECONDS = float(os.environ.get("REACH_SECONDS", "12"))
EVERYTHING = bool(os.environ.get("REACH_EVERYTHING"))  # also what lazy modules would import
OBJECTS = int(os.environ.get("REACH_OBJECTS", "1000000"))


def _no_module(path: str) -> Any:
    raise KeyError(path)


def _crawl(policy: Policy, extra: dict[str, object], *, seconds: float = SECONDS, only_extra: bool = False) -> Reach:
    context = PackageContext(source="hub:reach/test", digest="", granted=policy.granted("hub:reach/test"), load=_no_module)
    runtime = Runtime(context)
    logging.disable(logging.CRITICAL)  # a refusal is a line of the log each
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = extra if only_extra else {**extra, **roots(runtime, policy, everything=EVERYTHING)}
            return Crawler(runtime, context, loaded_only=not EVERYTHING).crawl(start, seconds, OBJECTS)
    finally:
        logging.disable(logging.NOTSET)


def _file(tmp_path: Path, policy: Policy) -> object:
    (tmp_path / "vocab.txt").write_text("a")
    context = PackageContext(source="hub:reach/test", digest="", granted=policy.granted("hub:reach/test"), load=_no_module)
    context.read_roots.add(os.path.realpath(tmp_path))
    opened: Any = Runtime(context).builtins["open"]
    return opened(str(tmp_path / "vocab.txt"))


@pytest.mark.parametrize("name", ["default", "strict"])
def test_reach(name: str, tmp_path: Path) -> None:
    policy = load_policy(name)
    reach = _crawl(policy, {**instances(), "file": _file(tmp_path, policy)})
    print(f"{name}: {reach.objects} objects, {'all' if reach.finished else 'budget spent'}")
    assert reach.objects > 5_000
    assert not reach.leaks, "\n".join(f"{what}  at  {path}" for what, path in sorted(reach.leaks.items()))


@pytest.mark.parametrize(
    ("leak", "what"),
    [
        (os, "real module"),
        (sys._getframe(), "interpreter internals"),
        ({"__builtins__": {}}, "globals"),
        (open, "the real open"),
        (type, "the real type"),
        (os.system, "sink (process)"),
        (load_policy("default"), "an object of ours"),
    ],
)
def test_bites(leak: object, what: str) -> None:
    """A leak planted two steps away, behind an attribute and an item, is found."""
    planted = {"root": SimpleNamespace(holder=SimpleNamespace(items=[{"key": leak}]))}
    reach = _crawl(load_policy("default"), planted, seconds=1.5, only_extra=True)
    assert any(found.startswith(what) for found in reach.leaks), reach.leaks


def test_it_bites_on_the_container_of_a_class() -> None:
    holder = type("Library", (), {"table_for_all": {"key": 1}})
    reach = _crawl(load_policy("default"), {"root": SimpleNamespace(item=holder())}, seconds=1.5, only_extra=True)
    assert "the dict table_for_all of a class" in reach.leaks
