"""Each fault reaches the real client, and what the client then does is a fact that our `fetch` has to know.

The client checks the length of a body and nothing else: it never compares content with the ETag.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .client import Outcome, installed, run_client
from .faults import (
    Fault,
    changing_body,
    claim_length,
    cut_body,
    deliver_commit,
    server_error,
    slow,
    without_header,
    wrong_etag,
)
from .server import HubServer, hub

REPO = "acme/files"
GOOD, EVIL = b"MARK = 'good'\n", b"MARK = 'evil'\n"

HUB_IS_NEW = installed("huggingface_hub") >= (1, 0)
CUT = "RemoteProtocolError" if HUB_IS_NEW else "ChunkedEncodingError"

SCRIPT = """
from huggingface_hub import hf_hub_download
result = open(hf_hub_download("acme/files", "model.py", etag_timeout=1)).read()
"""


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub() as running:
        running.commit(REPO, {"model.py": GOOD})
        yield running


def download(server: HubServer, home: Path) -> Outcome:
    return run_client(server.url, home, SCRIPT)


def test_a_wrong_etag_is_believed_and_poisons_the_blob_of_that_name(server: HubServer, tmp_path: Path) -> None:
    """The file of the other name is then served from the cache, with the content of the first."""
    server.commit(REPO, {"model.py": EVIL, "safe.py": GOOD})
    script = """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    etag = get_hf_file_metadata(hf_hub_url("acme/files", "safe.py")).etag
    names = ["model.py", "safe.py"]
    result = [etag] + [open(hf_hub_download("acme/files", name)).read() for name in names]
    """
    etag = run_client(server.url, tmp_path / "healthy", script).value[0]
    server.inject(REPO, "model.py", wrong_etag(etag))
    assert run_client(server.url, tmp_path / "ill", script).value == [etag, EVIL.decode(), EVIL.decode()]


def test_a_connection_that_is_cut_once_is_tried_again_by_the_newer_client(server: HubServer, tmp_path: Path) -> None:
    server.inject(REPO, "model.py", cut_body(5), methods=["GET"], times=1)
    first = download(server, tmp_path)
    assert first.raised[:1] == ([] if HUB_IS_NEW else [CUT])
    assert download(server, tmp_path).value == GOOD.decode()


def test_a_connection_that_is_always_cut_leaves_no_file(server: HubServer, tmp_path: Path) -> None:
    """What is raised is the HTTP library's own exception, and under the newer client no `OSError`."""
    server.inject(REPO, "model.py", cut_body(5), methods=["GET"])
    raised = download(server, tmp_path).raised
    assert (raised[0], "OSError" in raised) == (CUT, not HUB_IS_NEW)
    assert not list(tmp_path.rglob("model.py"))


def test_an_error_of_the_server_while_the_body_is_fetched_is_raised(server: HubServer, tmp_path: Path) -> None:
    server.inject(REPO, "model.py", server_error(501), methods=["GET"])
    assert "HfHubHTTPError" in download(server, tmp_path).raised
    server.heal()
    assert download(server, tmp_path).value == GOOD.decode()


@pytest.mark.parametrize("fault", [server_error(500), slow(2)], ids=["error", "slow"])
def test_a_passing_illness_of_the_server_is_survived(server: HubServer, tmp_path: Path, fault: Fault) -> None:
    server.inject(REPO, "model.py", fault, methods=["HEAD"], times=1)
    assert download(server, tmp_path).value == GOOD.decode()


def test_a_sick_server_makes_the_client_serve_its_cache_without_a_word(server: HubServer, tmp_path: Path) -> None:
    assert download(server, tmp_path).value == GOOD.decode()
    server.commit(REPO, {"model.py": EVIL})
    server.inject(REPO, "model.py", server_error(501))
    assert download(server, tmp_path).value == GOOD.decode()


def test_a_body_that_changes_between_two_requests_is_cached_as_it_came(server: HubServer, tmp_path: Path) -> None:
    server.inject(REPO, "model.py", changing_body([GOOD, EVIL]), methods=["GET"])
    read = [download(server, tmp_path / name).value for name in ("first", "second")]
    assert read == [GOOD.decode(), EVIL.decode()]


def test_a_body_shorter_than_its_announcement_is_refused(server: HubServer, tmp_path: Path) -> None:
    server.inject(REPO, "model.py", claim_length(10_000))
    assert download(server, tmp_path).raised[0] in {CUT, "OSError"}
    assert not list(tmp_path.rglob("model.py"))


@pytest.mark.parametrize("claimed_bytes", [3, 10_000])
def test_a_body_of_another_length_than_the_head_announced_is_refused(
    server: HubServer, tmp_path: Path, claimed_bytes: int
) -> None:
    server.inject(REPO, "model.py", claim_length(claimed_bytes), methods=["HEAD"])
    assert "OSError" in download(server, tmp_path).raised


def test_a_body_from_another_commit_is_filed_under_the_announced_one(server: HubServer, tmp_path: Path) -> None:
    evil = server.commit(REPO, {"model.py": EVIL})
    good = server.commit(REPO, {"model.py": GOOD})
    server.inject(REPO, "model.py", deliver_commit(evil), methods=["GET"])
    assert download(server, tmp_path).value == EVIL.decode()
    assert [path.parent.name for path in tmp_path.rglob("model.py")] == [good]


@pytest.mark.parametrize("name", ["X-Repo-Commit", "both ETags"])
def test_an_answer_without_commit_or_etag_is_not_cached(server: HubServer, tmp_path: Path, name: str) -> None:
    for header in ("ETag", "X-Linked-Etag") if name == "both ETags" else (name,):
        server.inject(REPO, "model.py", without_header(header))
    assert "LocalEntryNotFoundError" in download(server, tmp_path).raised
