"""The loopback Hub is a Hub to the real `huggingface_hub` client; each sentence is about client and server together."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .client import run_client
from .faults import then_move
from .server import HubServer, LoggedRequest, hub

REPO = "acme/files"
TEXT = {"README.md": "hello\n", "code/model.py": "MARK = 1\n"}


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub() as running:
        yield running


def request(server: HubServer, method: str, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    connection.request(method, path, headers=headers)
    return connection.getresponse()


def test_a_commit_id_is_a_function_of_the_content(server: HubServer) -> None:
    first = server.commit(REPO, TEXT)
    assert len(first) == 40
    assert server.commit(REPO, {**TEXT, "README.md": "changed\n"}) != first
    assert server.commit("other/name", dict(reversed(TEXT.items()))) == first


def test_a_ref_points_only_to_a_commit_that_exists(server: HubServer) -> None:
    server.commit(REPO, TEXT)
    with pytest.raises(ValueError, match="has no commit"):
        server.move(REPO, "main", "0" * 40)


def test_the_name_of_a_deleted_repository_may_be_taken(server: HubServer) -> None:
    old = server.commit(REPO, TEXT)
    server.delete(REPO)
    assert request(server, "HEAD", f"/{REPO}/resolve/main/README.md").headers["X-Error-Code"] == "RepoNotFound"
    server.commit(REPO, {"README.md": "mine\n"})
    assert request(server, "GET", f"/{REPO}/resolve/main/README.md").read() == b"mine\n"
    assert request(server, "HEAD", f"/{REPO}/resolve/{old}/README.md").headers["X-Error-Code"] == "RevisionNotFound"


def test_a_resumed_request_gets_the_rest(server: HubServer) -> None:
    server.commit(REPO, TEXT)
    response = request(server, "GET", f"/{REPO}/resolve/main/README.md", Range="bytes=2-")
    assert (response.status, response.read()) == (206, b"llo\n")
    assert response.headers["Content-Range"] == "bytes 2-5/6"


def test_an_unknown_address_is_not_found_and_is_logged(server: HubServer) -> None:
    assert request(server, "GET", "/api/whoami-v2", Authorization="Bearer me").status == 404
    assert server.log == [LoggedRequest("GET", "/api/whoami-v2", "me")]
    server.clear_log()
    assert server.log == []


def test_a_fault_may_be_for_the_first_requests_only(server: HubServer) -> None:
    old, new = server.commit(REPO, TEXT), server.commit(REPO, {"README.md": "new\n"})
    server.move(REPO, "main", old)
    server.inject(REPO, "README.md", then_move("main", new), times=1)
    address = f"/{REPO}/resolve/main/README.md"
    commits = [request(server, "HEAD", address).headers["X-Repo-Commit"] for _ in range(2)]
    assert commits == [old, new]


def test_the_client_reads_information_listing_and_refs(server: HubServer, tmp_path: Path) -> None:
    old = server.commit(REPO, TEXT)
    new = server.commit(REPO, {**TEXT, "model.safetensors": b"weights"})
    server.tag(REPO, "v1", old)
    server.move(REPO, "refs/pr/1", old)
    script = f"""
    from huggingface_hub import HfApi
    api = HfApi()
    refs = api.list_repo_refs({REPO!r}, include_pull_requests=True)
    info = api.model_info({REPO!r}, files_metadata=True)
    result = {{
        "shas": [info.sha] + [api.model_info({REPO!r}, revision=r).sha for r in ("v1", "refs/pr/1", {new!r})],
        "sizes": {{s.rfilename: s.size for s in info.siblings}},
        "sha256": [s.lfs.sha256 for s in info.siblings if s.lfs],
        "files": api.list_repo_files({REPO!r}, revision="v1"),
        "top": sorted(e.path for e in api.list_repo_tree({REPO!r})),
        "inside": [e.path for e in api.list_repo_tree({REPO!r}, "code")],
        "refs": [(r.ref, r.target_commit) for r in refs.branches + refs.tags + refs.pull_requests],
    }}
    """
    found = run_client(server.url, tmp_path, script).value
    assert found["shas"] == [new, old, old, new]
    assert found["sizes"] == {"README.md": 6, "code/model.py": 9, "model.safetensors": 7}
    assert found["sha256"] == [hashlib.sha256(b"weights").hexdigest()]
    assert found["files"] == ["README.md", "code/model.py"]
    assert found["top"] == ["README.md", "code", "model.safetensors"]
    assert found["inside"] == ["code/model.py"]
    assert found["refs"] == [["refs/heads/main", new], ["refs/tags/v1", old], ["refs/pr/1", old]]


def test_the_client_downloads_each_kind_of_repository_and_revision(server: HubServer, tmp_path: Path) -> None:
    old = server.commit(REPO, TEXT)
    server.commit(REPO, {**TEXT, "README.md": "branch\n"}, branch="feature/x")
    server.commit(f"datasets/{REPO}", {"README.md": "dataset\n"})
    server.commit(f"spaces/{REPO}", {"README.md": "space\n"})
    server.commit("gpt2", {"README.md": "no owner\n"})
    script = f"""
    from huggingface_hub import hf_hub_download
    wanted = [
        ({REPO!r}, None, None), ({REPO!r}, "feature/x", None), ({REPO!r}, {old!r}, None),
        ({REPO!r}, None, "dataset"), ({REPO!r}, None, "space"), ("gpt2", None, None),
    ]
    result = [
        open(hf_hub_download(repo, "README.md", revision=revision, repo_type=kind)).read()
        for repo, revision, kind in wanted
    ]
    """
    read = run_client(server.url, tmp_path, script).value
    assert read == ["hello\n", "branch\n", "hello\n", "dataset\n", "space\n", "no owner\n"]


def test_a_large_file_comes_from_another_origin_that_never_sees_the_token(server: HubServer, tmp_path: Path) -> None:
    server.commit(REPO, {"model.safetensors": b"weights"})
    script = f"""
    from huggingface_hub import hf_hub_download
    result = open(hf_hub_download({REPO!r}, "model.safetensors", token="hf_secret"), "rb").read().decode()
    """
    assert run_client(server.url, tmp_path, script).value == "weights"
    tokens = {entry.path.startswith("/cdn/"): entry.token for entry in server.log}
    assert tokens == {False: "hf_secret", True: None}


@pytest.mark.parametrize(
    ("repo", "name", "revision", "raised"),
    [
        (REPO, "no.py", "main", "EntryNotFoundError"),
        (REPO, "README.md", "no", "RevisionNotFoundError"),
        ("acme/no", "README.md", "main", "RepositoryNotFoundError"),
    ],
)
def test_what_is_missing_is_named(
    server: HubServer, tmp_path: Path, repo: str, name: str, revision: str, raised: str
) -> None:
    server.commit(REPO, TEXT)
    script = f"""
    from huggingface_hub import hf_hub_download
    result = hf_hub_download({repo!r}, {name!r}, revision={revision!r})
    """
    assert raised in run_client(server.url, tmp_path, script).raised


def test_a_gated_file_needs_a_listed_token_but_the_listing_does_not(server: HubServer, tmp_path: Path) -> None:
    server.commit(REPO, TEXT)
    server.gate(REPO, ["hf_member"])
    script = f"""
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import GatedRepoError
    api, result = HfApi(), []
    result.append([api.model_info({REPO!r}).gated, len(api.list_repo_files({REPO!r}))])
    for token in (False, "hf_stranger", "hf_member"):
        try:
            result.append(open(hf_hub_download({REPO!r}, "README.md", token=token)).read())
        except GatedRepoError as error:
            result.append(error.response.status_code)
    """
    assert run_client(server.url, tmp_path, script).value == [["manual", 2], 401, 403, "hello\n"]


def test_a_cached_file_is_there_offline_and_another_is_not(server: HubServer, tmp_path: Path) -> None:
    server.commit(REPO, TEXT)
    script = """
    from huggingface_hub import hf_hub_download
    result = open(hf_hub_download("acme/files", {name!r})).read()
    """
    assert run_client(server.url, tmp_path, script.format(name="README.md")).value == "hello\n"
    server.clear_log()
    assert run_client(server.url, tmp_path, script.format(name="README.md"), offline=True).value == "hello\n"
    missing = run_client(server.url, tmp_path, script.format(name="code/model.py"), offline=True)
    assert "LocalEntryNotFoundError" in missing.raised
    assert server.log == []
