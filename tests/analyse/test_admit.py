"""The allowlist decides: what is granted, what waits for the guard, what refuses."""

from __future__ import annotations

import pytest

from safe_remote_code import admit
from safe_remote_code.analyse import Analysis
from safe_remote_code.errors import PolicyError
from safe_remote_code.policy import Grant, Policy, load_policy

from .build import SOURCE, judged, of, policy


def _refused(text: str, under: Policy) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        admit.judge(of(text), under, SOURCE)
    return caught.value


# -- what a grant covers ------------------------------------------------------------------------


def test_a_granted_name_and_its_attributes_are_granted() -> None:
    under = policy("math.sqrt", "torch.nn.Linear")
    assert judged("import math\nfrom torch import nn\nmath.sqrt(1)\nnn.Linear.forward(1)\n", under) == []


def test_a_granted_module_is_no_grant_of_what_is_in_it() -> None:
    under = policy("torch.nn.*")
    assert judged("import torch.nn.functional as F\n", under) == []
    assert judged("import torch.nn.functional as F\ndef f():\n    F.evil()\n", under) == [
        ("ungranted-name", "torch.nn.functional.evil", "guard")
    ]
    assert judged("import torch.nn as nn\ndef f():\n    nn.Module.evil()\n", under) == []


def test_a_bare_module_is_not_granted_by_what_is_in_it() -> None:
    found = judged("from torch import nn\ndef f(x):\n    x(nn)\n", policy("torch.nn.Linear"))
    assert found == [("ungranted-name", "torch.nn", "guard")]


def test_a_capability_stands_against_a_grant() -> None:
    text = "import subprocess\ndef f():\n    subprocess.run()\n"
    assert ("ungranted-name", "subprocess.run", "guard") in judged(text, policy("subprocess.*"))
    assert judged(text, policy("subprocess.*", capabilities=("process",))) == []


def test_a_grant_to_another_source_is_none() -> None:
    under = Policy(name="t", grants=(Grant(names=("bs4.*",), capabilities=(), sources=("other/*",), why="test"),))
    assert ("ungranted-import", "bs4", "guard") in judged("import bs4\n", under)


# -- what waits, what refuses -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rule", "name", "enforcement"),
    [
        ("import bs4\n", "ungranted-import", "bs4", "guard"),
        ("from bs4 import x\n", "ungranted-import", "bs4.x", "guard"),
        ("import bs4\ny = bs4.x\n", "ungranted-name", "bs4.x", "guard"),
        ("import bs4\nbs4.x()\n", "ungranted-name", "bs4.x", "refuse"),
        ("import bs4\n@bs4.x\ndef f(): pass\n", "ungranted-name", "bs4.x", "refuse"),
        ("import bs4\nclass A(bs4.x): pass\n", "ungranted-name", "bs4.x", "refuse"),
        ("import bs4\nif a:\n    bs4.x()\n", "ungranted-name", "bs4.x", "guard"),
        ("import bs4\ntry:\n    bs4.x()\nexcept Exception: pass\n", "ungranted-name", "bs4.x", "guard"),
        ("import bs4\ndef f():\n    bs4.x()\n", "ungranted-name", "bs4.x", "guard"),
        ("import os\nos.system('x')\n", "ungranted-name", "os.system", "refuse"),
        ("import os\ndef f():\n    os.system('x')\n", "ungranted-name", "os.system", "guard"),
        ("import os\ndef f():\n    os.fork()\n", "ungranted-name", "os.fork", "refuse"),
        ("import os\ndef f():\n    return os.fork\n", "ungranted-name", "os.fork", "refuse"),
        ("from os import fork\n", "ungranted-import", "os.fork", "guard"),
    ],
)  # fmt: skip
def test_enforcement(text: str, rule: str, name: str, enforcement: str) -> None:
    assert (rule, name, enforcement) in judged(text, policy())


def test_stores_are_judged_by_the_rule_of_writes_alone() -> None:
    assert judged("import bs4\nbs4.x = 1\n", policy("bs4.y")) == [("foreign-write", "bs4", "refuse")]


def test_names_that_the_guard_replaces_wait_for_it() -> None:
    found = judged("def f(p):\n    return open(p)\n", load_policy("default"))
    assert found == [("mediated-name", "builtins.open", "guard")]


def test_a_remedy_names_the_exact_grant() -> None:
    (finding,) = [
        item
        for item in admit.findings(of("import os\nos.system('x')\n"), policy("os.path"), SOURCE)
        if item.rule == "ungranted-name"
    ]
    assert finding.capability == "process"
    assert 'names = ["os.system"], capabilities = ["process"]' in finding.remedy
    assert SOURCE in finding.remedy


def test_a_file_that_is_imported_under_a_condition_may_never_run() -> None:
    kernel = "import triton_pre_mlir\n@triton_pre_mlir.jit\ndef f(): pass\n"
    for text, enforcement in (
        ("from . import kernel\n", "refuse"),
        ("from .kernel import f\n", "refuse"),
        ("def g():\n    from .kernel import f\n", "guard"),
        ("try:\n    from .kernel import f\nexcept ImportError:\n    f = None\n", "guard"),
        ("x = 1\n", "refuse"),
    ):
        found = admit.findings(of(text, kernel=kernel), policy(), SOURCE)
        assert [item.enforcement for item in found if item.rule == "ungranted-name"] == [enforcement], text


def test_what_a_wildcard_may_grant_waits_for_the_guard() -> None:
    found = judged("import os\nx = os.path.sep.join([])\n", policy("os.path.*"))
    assert found == [("ungranted-name", "os.path.sep.join", "guard")]


# -- judge --------------------------------------------------------------------------------------


def test_it_collects_every_reason_before_it_refuses() -> None:
    error = _refused("import os\nos.system('x')\ny = x.__globals__\n", policy())
    assert [(item.line, item.rule) for item in error.findings] == [(2, "ungranted-name"), (3, "special-attribute")]
    assert f"safe-remote-code audit {SOURCE}" in error.remedy
    assert f"safe-remote-code policy suggest {SOURCE}" in error.remedy


def test_it_offers_no_grant_where_none_would_help() -> None:
    assert "suggest" not in _refused("y = x.__globals__\n", policy()).remedy


DEFERRED = "import os\n\ndef f(p):\n    return os.system(p)\n"


def test_what_waits_for_the_guard_is_admitted() -> None:
    admit.judge(of(DEFERRED), policy(), SOURCE)


def test_without_the_guard_nothing_waits() -> None:
    _refused(DEFERRED, policy(unsafe_disable=frozenset({"guard"})))


def test_a_policy_may_refuse_what_would_wait() -> None:
    _refused(DEFERRED, policy(deferred="refuse"))


def test_notes_never_refuse() -> None:
    text = "def f(x):\n    return hasattr(x, '__code__')\n"
    assert [item.enforcement for item in of(text).findings] == ["note"]
    admit.judge(of(text), policy(unsafe_disable=frozenset({"guard"}), deferred="refuse"), SOURCE)


def test_without_the_analysis_only_the_source_is_judged() -> None:
    off = frozenset({"analysis"})
    admit.judge(of("y = x.__globals__\n"), policy(unsafe_disable=off), SOURCE)
    with pytest.raises(PolicyError, match="does not allow this source"):
        admit.judge(of("x = 1\n"), policy(unsafe_disable=off, deny=("org/*",)), SOURCE)


def test_what_could_not_be_analysed_is_never_clean() -> None:
    assert [item.rule for item in _refused("def\n", policy()).findings] == ["unreadable"]


def test_findings_are_sorted_and_keep_those_of_the_analysis() -> None:
    analysis = of("import bs4\nx.__globals__\nbs4.x()\n")
    found = admit.findings(analysis, policy(), SOURCE)
    assert list(found) == sorted(found)
    assert set(analysis.findings) <= set(found)


def test_an_empty_analysis_is_of_another_digest() -> None:
    empty = Analysis(digest="sha256:" + "0" * 64, findings=(), uses=())
    assert admit.findings(empty, policy(), SOURCE) == ()
