"""Facts about *native* transformers, without us: which commit's code runs when a user pins a revision.

These are the holes that our loading has to close, each shown by the mark of the code that ran. A fact
that stops being true fails here, so that we learn when transformers changes under us.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .client import installed, run_client
from .faults import server_error, then_move
from .server import HubServer, hub
from .tiny import tiny_code, tiny_repository

pytest.importorskip("torch")
pytest.importorskip("transformers")

TRANSFORMERS = installed("transformers")
RESOLVES_FIRST = TRANSFORMERS >= (5, 0)
"""Newer versions resolve a branch to a commit once, before they fetch the first file."""

REPO = "acme/tiny"


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub() as running:
        yield running


def two_commits(server: HubServer) -> tuple[str, str]:
    """Commits `A` and `B` of the tiny repository; the branch is at `B`, as after a push."""
    return server.commit(REPO, tiny_repository("A")), server.commit(REPO, tiny_repository("B"))


def run(server: HubServer, home: Path, script: str, *, offline: bool = False, **names: str) -> Any:
    """Run a script that finds the Auto classes, `marks` and the given names defined."""
    head = [
        "from transformers import AutoConfig, AutoModel",
        "def marks(thing): return thing.mark + thing.helper_mark",
        *(f"{name} = {value!r}" for name, value in names.items()),
    ]
    return run_client(server.url, home, "\n".join([*head, script]), offline=offline).value


def test_a_pinned_model_loads_and_loads_again_offline(server: HubServer, tmp_path: Path) -> None:
    a, _ = two_commits(server)
    script = """
from transformers.utils import cached_file
pinned = {"revision": a, "trust_remote_code": True}
config = AutoConfig.from_pretrained("acme/tiny", **pinned)
model = AutoModel.from_pretrained("acme/tiny", **pinned)
where = cached_file("acme/tiny", "config.json", revision=a)
result = [marks(config), marks(model), model.linear.weight.tolist(), a in where]
"""
    expected = ["AA", "AA", [[1.0, 2.0], [3.0, 4.0]], True]
    assert run(server, tmp_path, script, a=a) == expected
    server.clear_log()
    assert run(server, tmp_path, script, a=a, offline=True) == expected
    assert server.log == []


def test_from_config_executes_main_although_the_config_was_pinned(server: HubServer, tmp_path: Path) -> None:
    a, _ = two_commits(server)
    script = """
config = AutoConfig.from_pretrained("acme/tiny", revision=a, trust_remote_code=True)
model = AutoModel.from_config(config, trust_remote_code=True)
result = [marks(config), marks(model)]
"""
    assert run(server, tmp_path, script, a=a) == ["AA", "BB"]


def test_from_config_after_from_pretrained_depends_on_the_version(server: HubServer, tmp_path: Path) -> None:
    """Newer versions registered the pinned class in this process and do not call the loader again."""
    a, _ = two_commits(server)
    script = """
config = AutoConfig.from_pretrained("acme/tiny", revision=a, trust_remote_code=True)
AutoModel.from_pretrained("acme/tiny", revision=a, trust_remote_code=True)
result = marks(AutoModel.from_config(config, trust_remote_code=True))
"""
    assert run(server, tmp_path, script, a=a) == ("AA" if RESOLVES_FIRST else "BB")


@pytest.mark.parametrize(("code_pinned", "ran"), [(False, "BB"), (True, "AA")])
def test_code_of_another_repository_comes_from_its_main(
    server: HubServer, tmp_path: Path, code_pinned: bool, ran: str
) -> None:
    """`revision` does not reach the other repository; `code_revision` does."""
    a = server.commit("acme/code", tiny_code("A"))
    front = server.commit("acme/front", tiny_repository("-", code_repo="acme/code"))
    server.commit("acme/code", tiny_code("B"))
    script = """
pinned = {"revision": front, "trust_remote_code": True, **({"code_revision": a} if a else {})}
config = AutoConfig.from_pretrained("acme/front", **pinned)
result = [marks(config), marks(AutoModel.from_pretrained("acme/front", **pinned))]
"""
    assert run(server, tmp_path, script, front=front, a=a if code_pinned else "") == [ran, ran]


@pytest.mark.parametrize("api_is_down", [False, True])
def test_a_branch_that_moves_during_a_load_mixes_two_commits(
    server: HubServer, tmp_path: Path, api_is_down: bool
) -> None:
    """Newer versions are safe only while the information address answers: resolving fails open."""
    a, b = two_commits(server)
    server.move(REPO, "main", a)
    server.inject(REPO, "config.json", then_move("main", b), methods=["GET"])
    if api_is_down:
        server.inject_api(REPO, server_error(500))
    script = 'result = marks(AutoConfig.from_pretrained("acme/tiny", trust_remote_code=True))'
    assert run(server, tmp_path, script) == ("AA" if RESOLVES_FIRST and not api_is_down else "BB")
    assert list(tmp_path.rglob(f"{a}/config.json")), "the configuration came from the commit before the push"


def test_code_and_weights_may_be_of_two_commits(server: HubServer, tmp_path: Path) -> None:
    a, b = two_commits(server)
    server.move(REPO, "main", a)
    server.inject(REPO, "modeling_tiny.py", then_move("main", b), methods=["GET"])
    script = 'result = marks(AutoModel.from_pretrained("acme/tiny", trust_remote_code=True))'
    assert run(server, tmp_path, script) == "AA"
    weights = {path.parent.name for path in tmp_path.rglob("model.safetensors")}
    assert weights == ({a} if RESOLVES_FIRST else {b})


def test_a_saved_model_takes_its_code_from_where_the_version_says(server: HubServer, tmp_path: Path) -> None:
    """4.49 saves no code but a reference to the repository, without a revision."""
    a, _ = two_commits(server)
    save = """
import os
model = AutoModel.from_pretrained("acme/tiny", revision=a, trust_remote_code=True)
model.save_pretrained("saved")
result = "modeling_tiny.py" in os.listdir("saved")
"""
    reload = 'result = marks(AutoModel.from_pretrained("saved", revision=a, trust_remote_code=True))'
    saves_code = TRANSFORMERS >= (4, 57)
    assert run(server, tmp_path, save, a=a) is saves_code
    assert run(server, tmp_path, reload, a=a) == ("AA" if saves_code else "BB")


def test_code_of_a_space_is_mixed_with_the_model_of_that_name(server: HubServer, tmp_path: Path) -> None:
    """4.49 takes the siblings from the model; newer versions take all of it, where the cache holds the model."""
    server.commit(f"spaces/{REPO}", tiny_repository("S"))
    server.commit(REPO, tiny_repository("M"))
    script = """
from transformers.dynamic_module_utils import get_class_from_dynamic_module
from transformers.utils import cached_file
cached_file("acme/tiny", "configuration_tiny.py")
result = marks(get_class_from_dynamic_module("configuration_tiny.TinyConfig", "acme/tiny", repo_type="space"))
"""
    assert run(server, tmp_path, script) == ("MM" if TRANSFORMERS >= (4, 57) else "SM")
