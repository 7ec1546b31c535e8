"""Loading from a Hub through the walls, with the real client: which commit's code runs, and what is refused.

`test_native.py` shows each hole in transformers alone; here is the same story with us.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .client import environment, run_client
from .server import HubServer, hub
from .tiny import tiny_code, tiny_repository

pytestmark = pytest.mark.torch

ROOT = Path(__file__).resolve().parents[2]
REPO = "acme/tiny"
LOCK = "remote-code.lock"

HEAD = """
from transformers import AutoConfig, AutoModel
import safe_remote_code
safe_remote_code.install(lockfile="remote-code.lock")

def marks(thing):
    return thing.mark + thing.helper_mark

def attempt(call):
    try:
        return marks(call())
    except safe_remote_code.RemoteCodeError as error:
        return f"{error.code}: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def config(repo, **arguments):
    return attempt(lambda: AutoConfig.from_pretrained(repo, trust_remote_code=True, **arguments))

def model(repo, **arguments):
    return attempt(lambda: AutoModel.from_pretrained(repo, trust_remote_code=True, **arguments))

result = {}
"""


def pin(server: HubServer, home: Path, *arguments: str) -> str:
    """`safe-remote-code pin` in the folder `home`, as a user would; gives what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "safe_remote_code", "pin", *arguments],
        env={**environment(server.url, home), "PYTHONPATH": str(ROOT)},
        cwd=home, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def run(server: HubServer, home: Path, script: str, *, offline: bool = False, **names: str) -> Any:
    """What `script` left in `result`, with `names` and the functions of `HEAD` defined."""
    values = "\n".join(f"{name} = {value!r}" for name, value in names.items())
    settings = {"PYTHONPATH": str(ROOT), "TRANSFORMERS_VERBOSITY": "error"}
    return run_client(server.url, home, f"{HEAD}\n{values}\n{script}", offline=offline, settings=settings).value


class Story:
    """One Hub and one user, for all tests of this module: each part is a process, run once."""

    def __init__(self, server: HubServer, home: Path) -> None:
        home.mkdir(exist_ok=True)
        self.server, self.home = server, home
        self.a = server.commit(REPO, tiny_repository("A"))
        self.code_a = server.commit("acme/code", tiny_code("C"))
        self.front = server.commit("acme/front", tiny_repository("-", code_repo="acme/code"))
        self.said = pin(server, home, REPO, "acme/code")
        self.before = run(server, home, 'result = [config("acme/tiny"), model("acme/tiny")]')
        self.b = server.commit(REPO, tiny_repository("B"))
        self.code_b = server.commit("acme/code", tiny_code("D"))
        self.after = run(server, home, AFTER, a=self.a, b=self.b, code_a=self.code_a, code_b=self.code_b)
        server.clear_log()
        self.offline = run(server, home, OFFLINE, offline=True, a=self.a)
        self.offline_log = list(server.log)


AFTER = """
result["config, no revision"] = config("acme/tiny")
result["model, no revision"] = model("acme/tiny")
result["main"] = config("acme/tiny", revision="main")
result["model of main"] = model("acme/tiny", revision="main")
result["a"] = model("acme/tiny", revision=a)
result["b"] = model("acme/tiny", revision=b)
result["no such"] = config("acme/tiny", code_revision="no-such-branch")
result["from_config"] = attempt(lambda: AutoModel.from_config(
    AutoConfig.from_pretrained("acme/tiny", revision=a, trust_remote_code=True), trust_remote_code=True))
result["front"] = model("acme/front")
result["front, code a"] = model("acme/front", code_revision=code_a)
result["front, code b"] = config("acme/front", code_revision=code_b)
result["code a of tiny"] = config("acme/tiny", revision="main", code_revision=a)
first = AutoModel.from_pretrained("acme/tiny", trust_remote_code=True)
first.save_pretrained("saved")
result["saved"] = model("saved")
result["same"] = type(first) is type(AutoModel.from_pretrained("acme/tiny", revision=a, trust_remote_code=True))
result["ours"] = type(first).__module__
"""

OFFLINE = """
result["config"] = config("acme/tiny")
result["model"] = model("acme/tiny")
result["model of a"] = model("acme/tiny", revision=a)
result["front"] = config("acme/front")
"""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with hub() as server:
        yield Story(server, tmp_path_factory.mktemp("user"))


def test_the_lock_holds_the_commit_that_was_pinned(story: Story) -> None:
    text = (story.home / LOCK).read_text()
    assert f'commit = "{story.a}"' in text
    assert f'commit = "{story.code_a}"' in text
    assert story.b not in text
    assert "hub:acme/tiny" in story.said


def test_what_was_pinned_loads_by_name(story: Story) -> None:
    assert story.before == ["AA", "AA"]
    assert story.after["ours"].startswith("transformers_modules.acme.tiny.h")


@pytest.mark.parametrize("kind", ["config", "model"])
def test_no_revision_means_the_pinned_commit_also_after_a_push(story: Story, kind: str) -> None:
    assert story.after[f"{kind}, no revision"] == "AA"


@pytest.mark.parametrize("asked", ["main", "model of main", "b"])
def test_code_of_another_commit_is_refused_with_the_command_that_reviews_it(story: Story, asked: str) -> None:
    found = story.after[asked]
    assert found.startswith("digest-mismatch: ")
    assert "configuration_tiny.py" in found
    assert "safe-remote-code pin acme/tiny" in found
    assert "--update" in found


def test_the_pinned_commit_may_be_named(story: Story) -> None:
    assert story.after["a"] == "AA"
    assert story.after["same"] is True


def test_from_config_runs_the_code_that_the_config_came_with(story: Story) -> None:
    """Natively it runs that of `main`."""
    assert story.after["from_config"] == "AA"


def test_code_of_another_repository_comes_from_its_pinned_commit(story: Story) -> None:
    """Natively from its `main`."""
    assert story.after["front"] == "CC"


def test_a_code_revision_is_obeyed_and_judged(story: Story) -> None:
    assert story.after["front, code a"] == "CC"
    assert story.after["front, code b"].startswith("digest-mismatch: ")
    assert story.after["code a of tiny"] == "AA"


def test_a_revision_that_does_not_exist_is_named(story: Story) -> None:
    assert story.after["no such"].startswith("fetch: ")
    assert "no such revision" in story.after["no such"]
    assert "no-such-branch" in story.after["no such"]


def test_a_saved_model_reloads_the_pinned_code(story: Story) -> None:
    """Where transformers saves the code, by content; where it saves a reference (4.49), by its commit."""
    assert story.after["saved"] == "AA"


def test_what_is_cached_loads_offline_without_a_request(story: Story) -> None:
    assert story.offline == {"config": "AA", "model": "AA", "model of a": "AA", "front": "CC"}
    assert story.offline_log == []


def test_a_name_that_changes_hands_gets_no_code_in(story: Story) -> None:
    """The repository is deleted, and somebody else takes its name; the cache is that of a new user."""
    story.server.delete(REPO)
    story.server.commit(REPO, tiny_repository("EVIL"))
    home = story.home.parent / "new_user"
    home.mkdir()
    (home / LOCK).write_bytes((story.home / LOCK).read_bytes())
    found = run(story.server, home, 'result = [config("acme/tiny"), config("acme/tiny", revision="main")]')
    assert found[0].startswith("fetch: ")
    assert found[1].startswith("digest-mismatch: ")
