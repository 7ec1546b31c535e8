"""A Hub that misbehaves, or a cache that was tampered with: refused, or named as what it is, and never half-believed.

These load a module that needs no torch, so that each process is short.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .client import run_client
from .faults import Fault, changing_body, cut_body, deliver_commit, server_error, then_move, wrong_etag
from .server import HubServer, hub

pytest.importorskip("huggingface_hub")

ROOT = Path(__file__).resolve().parents[2]
REPO = "acme/plain"
LOCK = "remote-code.lock"

MODEL = "from .part import MARK\n\n\nclass Thing:\n    mark = MARK\n"
PART = "MARK = {!r}\n"

HEAD = """
from pathlib import Path
from safe_remote_code import RemoteCodeError, get_class_from_dynamic_module
from safe_remote_code.fetch import open_source
from safe_remote_code.lockfile import read_lock, write_lock
from safe_remote_code.pinning import locked_package
from safe_remote_code.reference import parse_source

def pin(repo, revision=None, repo_type=None):
    lock = Path("remote-code.lock")
    package, _ = locked_package(open_source(parse_source(repo, repo_type), revision))
    write_lock(read_lock(lock).with_package(package, replace_source=False), lock)
    return package.commit

def load(repo, reference="model.Thing", **arguments):
    try:
        return get_class_from_dynamic_module(reference, repo, **arguments).mark
    except RemoteCodeError as error:
        return f"{error.code}: {error}"

result = {}
"""


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub() as running:
        yield running


def code(mark: str) -> dict[str, str]:
    return {"model.py": MODEL, "part.py": PART.format(mark)}


def run(server: HubServer, home: Path, script: str, *, offline: bool = False, **names: Any) -> Any:
    values = "\n".join(f"{name} = {value!r}" for name, value in names.items())
    settings = {"PYTHONPATH": str(ROOT)}
    return run_client(server.url, home, f"{HEAD}\n{values}\n{script}", offline=offline, settings=settings).value


def pinned(server: HubServer, home: Path) -> str:
    """Commit the code with the mark `good`, pin it as the user of `home`, and give the commit."""
    commit = server.commit(REPO, code("good"))
    assert run(server, home, 'result = [pin("acme/plain"), load("acme/plain")]') == [commit, "good"]
    return commit


def of_another_user(home: Path, name: str) -> Path:
    """A home with the same lock file and an empty cache."""
    other = home.parent / name
    other.mkdir()
    (other / LOCK).write_bytes((home / LOCK).read_bytes())
    return other


LOAD = 'result = load("acme/plain")'


def test_a_file_that_is_missing_is_named(server: HubServer, tmp_path: Path) -> None:
    home = tmp_path / "user"
    pinned(server, home)
    found = run(
        server, home, 'result = [load("acme/plain", "no.Thing"), load("acme/no"), load("acme/plain", revision="v9")]'
    )
    assert [text.partition(":")[0] for text in found] == ["missing-file", "fetch", "fetch"]
    assert "no.py" in found[0]
    assert "acme/no" in found[1] and "no such repository" in found[1]
    assert "v9" in found[2] and "no such revision" in found[2]


def test_a_file_that_is_gone_at_another_revision_is_refused(server: HubServer, tmp_path: Path) -> None:
    home = tmp_path / "user"
    pinned(server, home)
    server.commit(REPO, {"model.py": MODEL})
    assert run(server, home, 'result = load("acme/plain", revision="main")').startswith("missing-file: ")


def test_a_gated_repository_is_named_as_such_and_opens_with_a_token(server: HubServer, tmp_path: Path) -> None:
    home = tmp_path / "user"
    pinned(server, home)
    server.gate(REPO, ["hf_member"])
    other = of_another_user(home, "other")
    script = (
        'result = [load("acme/plain"), load("acme/plain", token="hf_stranger"), load("acme/plain", token="hf_member")]'
    )
    found = run(server, other, script)
    for text in found[:2]:
        assert text.startswith("[fetch]") or text.startswith("fetch: ")
        assert "gated" in text and "token" in text
    assert found[2] == "good"


def blobs(home: Path) -> list[Path]:
    return [path for path in (home / "hf" / "hub").rglob("blobs/*") if path.is_file()]


def test_content_that_was_swapped_in_the_cache_is_refused(server: HubServer, tmp_path: Path) -> None:
    """Online and offline: the client itself looks at neither."""
    home = tmp_path / "user"
    pinned(server, home)
    part = next(path for path in blobs(home) if path.read_text() == PART.format("good"))
    part.write_text(PART.format("evil"))
    for offline in (False, True):
        found = run(server, home, LOAD, offline=offline)
        assert found.startswith("digest-mismatch: ")
        assert "part.py" in found


def test_a_link_in_the_cache_that_leads_out_is_refused(server: HubServer, tmp_path: Path) -> None:
    """Even to the very content that was pinned."""
    home = tmp_path / "user"
    pinned(server, home)
    outside = tmp_path / "outside.py"
    outside.write_text(PART.format("good"))
    link = next((home / "hf" / "hub").rglob("snapshots/*/part.py"))
    link.unlink()
    link.symlink_to(outside)
    assert "link that leads out" in run(server, home, LOAD, offline=True)


def test_a_compiled_file_in_the_cache_has_no_effect(server: HubServer, tmp_path: Path) -> None:
    import py_compile
    import sys

    home = tmp_path / "user"
    pinned(server, home)
    folder = next((home / "hf" / "hub").rglob("snapshots/*/part.py")).parent
    evil = tmp_path / "evil.py"
    evil.write_text(PART.format("evil"))
    cached = folder / "__pycache__" / f"part.{sys.implementation.cache_tag}.pyc"
    py_compile.compile(str(evil), cfile=str(cached), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert run(server, home, LOAD, offline=True) == "good"


def etag_of(content: str) -> str:
    """What the Hub calls a small file: git's name of the blob."""
    data = content.encode()
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


def test_a_wrong_etag_poisons_nothing_that_is_believed(server: HubServer, tmp_path: Path) -> None:
    """The evil file is announced under the identity of the good one, so that the client files it there."""
    home = tmp_path / "user"
    pinned(server, home)
    other = of_another_user(home, "other")
    server.inject(REPO, "part.py", changing_body([PART.format("evil").encode()]), methods=["GET"])
    server.inject(REPO, "part.py", wrong_etag(etag_of(PART.format("good"))))
    assert run(server, other, LOAD).startswith("digest-mismatch: ")
    server.heal()
    assert run(server, other, LOAD).startswith("digest-mismatch: "), "the cache is still poisoned, and still refused"
    assert run(server, other, 'result = load("acme/plain", force_download=True)') == "good"


def test_a_body_from_another_commit_is_refused(server: HubServer, tmp_path: Path) -> None:
    home = tmp_path / "user"
    good = pinned(server, home)
    evil = server.commit(REPO, code("evil"))
    server.move(REPO, "main", good)
    other = of_another_user(home, "other")
    server.inject(REPO, "part.py", deliver_commit(evil), methods=["GET"])
    assert run(server, other, LOAD).startswith("digest-mismatch: ")


@pytest.mark.parametrize(
    "fault", [cut_body(5), server_error(501)], ids=["connection cut in the middle", "error of the server"]
)
def test_a_download_that_fails_is_a_fetch_error_and_leaves_nothing_to_trust(
    server: HubServer, tmp_path: Path, fault: Fault
) -> None:
    home = tmp_path / "user"
    pinned(server, home)
    other = of_another_user(home, "other")
    server.inject(REPO, "part.py", fault, methods=["GET"])
    found = run(server, other, LOAD)
    assert found.startswith("fetch: ")
    assert "acme/plain" in found and "part.py" in found
    assert not list((other / "hf" / "hub").rglob("snapshots/*/part.py"))
    offline = run(server, other, LOAD, offline=True)
    assert offline.startswith("fetch: ")
    server.heal()
    assert run(server, other, LOAD) == "good"


def test_what_a_cut_connection_left_behind_cannot_be_completed_with_something_else(
    server: HubServer, tmp_path: Path
) -> None:
    """The client resumes a partial file by asking for the rest, whoever wrote its beginning."""
    home = tmp_path / "user"
    pinned(server, home)
    other = of_another_user(home, "other")
    server.inject(REPO, "part.py", cut_body(5), methods=["GET"])
    run(server, other, LOAD)
    server.heal()
    for partial in (other / "hf" / "hub").rglob("*.incomplete"):
        partial.write_text("EVIL")
    assert run(server, other, LOAD) in {"good"} | {
        text for text in [run(server, other, LOAD)] if "digest-mismatch" in text
    }


def test_offline_without_a_cache_says_so(server: HubServer, tmp_path: Path) -> None:
    home = tmp_path / "user"
    pinned(server, home)
    found = run(server, of_another_user(home, "other"), LOAD, offline=True)
    assert found.startswith("fetch: ")
    assert "HF_HUB_OFFLINE" in found
    local = run(server, home, 'result = load("acme/plain", local_files_only=True)')
    assert local == "good"


def test_a_push_between_two_files_mixes_nothing(server: HubServer, tmp_path: Path) -> None:
    """Pinning, too, reads all files of one commit."""
    home = tmp_path / "user"
    good = server.commit(REPO, code("good"))
    evil = server.commit(REPO, {"model.py": MODEL, "part.py": PART.format("evil")})
    server.move(REPO, "main", good)
    server.inject(REPO, "model.py", then_move("main", evil), methods=["GET"])
    found = run(server, home, 'result = [pin("acme/plain"), load("acme/plain")]')
    assert found == [good, "good"]


def test_repositories_of_one_name_and_different_kind_do_not_meet(server: HubServer, tmp_path: Path) -> None:
    """Natively the siblings of a space's code come from the model of that name."""
    home = tmp_path / "user"
    kinds = {"model": REPO, "dataset": f"datasets/{REPO}", "space": f"spaces/{REPO}"}
    for kind, name in kinds.items():
        server.commit(name, code(kind))
    script = """
result["unpinned"] = [load("acme/plain", repo_type=kind) for kind in kinds]
for kind in kinds:
    pin("acme/plain", repo_type=kind)
    result[kind] = load("acme/plain", repo_type=kind)
result["default"] = load("acme/plain")
result["lock"] = [package.source for package in read_lock(Path("remote-code.lock")).packages]
"""
    found = run(server, home, script, kinds=list(kinds))
    assert {kind: found[kind] for kind in kinds} == {kind: kind for kind in kinds}
    assert found["default"] == "model"
    assert found["lock"] == ["hub:acme/plain", "hub:datasets/acme/plain", "hub:spaces/acme/plain"]
    assert all(text.startswith("not-pinned: ") for text in found["unpinned"])
    assert "--repo-type space" in found["unpinned"][2]


def test_two_commits_may_be_pinned_and_each_load_says_which(server: HubServer, tmp_path: Path) -> None:
    home = tmp_path / "user"
    first, second = server.commit(REPO, code("first")), server.commit(REPO, code("second"))
    script = """
pin("acme/plain", first), pin("acme/plain", second)
result["none said"] = load("acme/plain")
result["first"] = load("acme/plain", revision=first)
result["after first"] = load("acme/plain")
result["second"] = load("acme/plain", revision=second)
result["code"] = load("acme/plain", revision=second, code_revision=first)
"""
    found = run(server, home, script, first=first, second=second)
    assert found["none said"].startswith("not-pinned: ")
    assert first in found["none said"] and second in found["none said"]
    assert [found[key] for key in ("first", "after first", "second", "code")] == ["first", "first", "second", "first"]


def test_code_of_another_repository_is_judged_as_that_repository(server: HubServer, tmp_path: Path) -> None:
    home = tmp_path / "user"
    server.commit("acme/front", {"README.md": "no code\n"})
    commit = server.commit(REPO, code("other"))
    script = """
result["unpinned"] = load("acme/front", "acme/plain--model.Thing")
pin("acme/plain")
result["pinned"] = load("acme/front", "acme/plain--model.Thing", revision="0" * 40)
result["by commit"] = load("acme/front", "acme/plain--model.Thing", code_revision=commit)
"""
    found = run(server, home, script, commit=commit)
    assert found["unpinned"].startswith("not-pinned: ")
    assert "safe-remote-code pin acme/plain" in found["unpinned"]
    assert found["pinned"] == found["by commit"] == "other"


@pytest.mark.parametrize("name", ["acme/v1.5-model", "acme/3d_model", "acme/a-b.c_d"])
def test_a_repository_may_have_any_name_of_the_hub(server: HubServer, tmp_path: Path, name: str) -> None:
    server.commit(name, code(name))
    assert run(server, tmp_path / "user", "pin(name)\nresult = load(name)", name=name) == name


def test_a_cache_that_somebody_else_filled_is_enough_offline(server: HubServer, tmp_path: Path) -> None:
    """`hf download` stores the files there are, and no note of those that are not."""
    home = tmp_path / "user"
    pinned(server, home)
    other = of_another_user(home, "other")
    run(server, other, 'from huggingface_hub import snapshot_download\nsnapshot_download("acme/plain")')
    server.clear_log()
    assert run(server, other, LOAD, offline=True) == "good"
    assert server.log == []
