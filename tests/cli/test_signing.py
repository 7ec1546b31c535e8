"""keygen, sign, verify --key and --trust, trust: the walk of a team that signs what it loads."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cli.commands import repository, run
from safe_remote_code.errors import RefusedError, SignatureError
from safe_remote_code.lockfile import read_lock
from safe_remote_code.pipeline import load_package
from safe_remote_code.reference import parse
from safe_remote_code.signing.key_files import load_public


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one pinned repository and the keys of three people."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "password").write_text("correct horse\n")
    for name in ("alice", "bob", "carol"):
        assert run("keygen", name, "--password-file", "password").exit_code == 0
    repository(tmp_path / "plain")
    assert run("pin", "plain").exit_code == 0
    return tmp_path


def _sign(name: str, *more: object) -> None:
    result = run("sign", "plain", "--key", name, "--password-file", "password", *more)
    assert result.exit_code == 0, result.stderr


def _policy(names: list[str], threshold: int, more: str = "") -> Path:
    text = 'format = 1\nname = "team"\nextends = ["default"]\n'
    for name in names:
        text += f'[[key]]\nname = "{name}"\npublic = """\n{Path(f"{name}.pub").read_text()}"""\n'
    text += f'[[trust]]\nname = "team"\nsources = ["local:plain", "hub:our-org/*"]\nkeys = {json.dumps(names)}\n'
    text += f'threshold = {threshold}\nexpires = "2099-01-01T00:00:00Z"\nwhy = "ours"\n{more}'
    Path("policy.toml").write_text(text)
    return Path("policy.toml")


def _load(policy: Path) -> object:
    return load_package(parse("modeling_plain.PlainModel", "plain"), policy=policy, lockfile="remote-code.lock")


def _revoked(name: str) -> str:
    return f'[[revoked]]\nkey_id = "{load_public(f"{name}.pub").key_id}"\nwhy = "laptop stolen"\n'


def test_keygen_prints_lines_that_a_policy_takes(home: Path) -> None:
    result = run("keygen", "dave", "--no-password", "--algorithm", "ecdsa-p256")
    assert result.exit_code == 0
    Path("dave.toml").write_text('format = 1\nname = "x"\nextends = ["default"]\n' + result.stdout)
    assert run("policy", "check", "dave.toml").exit_code == 0
    assert os.stat("dave").st_mode & 0o777 == 0o600
    assert "ENCRYPTED" in Path("alice").read_text() and "ENCRYPTED" not in Path("dave").read_text()
    assert run("keygen", "dave", "--no-password").exit_code == 2, "nothing is overwritten"


def test_code_loads_once_two_of_three_have_signed_and_no_longer_when_one_of_them_is_revoked(home: Path) -> None:
    policy = _policy(["alice", "bob", "carol"], 2)
    with pytest.raises(SignatureError, match="2 distinct keys, and 0 signed"):
        _load(policy)
    _sign("alice")
    with pytest.raises(SignatureError, match="2 distinct keys, and 1 signed"):
        _load(policy)
    _sign("bob")
    _load(policy)
    assert run("verify", "plain", "--trust", "policy.toml").exit_code == 0
    _policy(["alice", "bob", "carol"], 2, _revoked("bob"))
    with pytest.raises(SignatureError, match="2 distinct keys, and 1 signed"):
        _load(policy)
    result = run("verify", "plain", "--trust", "policy.toml")
    assert (result.exit_code, "1 signed" in result.stderr) == (1, True)
    _sign("carol")
    _load(policy)


def test_what_loaded_before_in_this_process_is_judged_again(home: Path) -> None:
    _sign("alice")
    policy = _policy(["alice"], 1)
    _load(policy)
    shutil.rmtree("remote-code.signatures")
    with pytest.raises(SignatureError, match="0 signed"):
        _load(policy)


def test_the_trust_rule_comes_before_the_analysis(home: Path) -> None:
    (home / "plain" / "modeling_plain.py").write_text("import subprocess\nsubprocess.run(['true'])\nclass PlainModel:\n    pass\n")
    assert run("pin", "plain", "--update").exit_code == 0
    with pytest.raises(SignatureError):
        _load(_policy(["alice"], 1))


def test_explore_does_not_record_what_must_be_signed(home: Path) -> None:
    Path("remote-code.lock").unlink()
    policy = _policy(["alice"], 1, '[identity]\npinning = "record"\n')
    with pytest.raises(RefusedError, match="not pinned"):
        _load(policy)
    assert not Path("remote-code.lock").exists()


def test_an_entry_point_that_is_added_to_the_lock_is_not_covered_by_the_old_approval(home: Path) -> None:
    _sign("alice")
    policy = _policy(["alice"], 1)
    _load(policy)
    lock = Path("remote-code.lock")
    lock.write_text(lock.read_text().replace('entry_points = [\n', 'entry_points = [\n    "modeling_plain.math",\n'))
    with pytest.raises(SignatureError, match="another entry points"):
        _load(policy)


def test_versions_go_up_by_themselves_and_a_rollback_is_refused_until_it_is_accepted(home: Path) -> None:
    _sign("alice")
    policy, old = _policy(["alice"], 1), Path("remote-code.lock").read_text()
    before = (home / "plain" / "modeling_plain.py").read_text()
    _load(policy)
    (home / "plain" / "modeling_plain.py").write_text(before + "\n# changed\n")
    assert run("pin", "plain", "--update").exit_code == 0
    _sign("alice")
    assert "version 2" in run("verify", "plain", "--key", "alice.pub").stdout
    _load(policy)
    (home / "plain" / "modeling_plain.py").write_text(before)
    Path("remote-code.lock").write_text(old)
    with pytest.raises(SignatureError, match="1 is a rollback: 2 was seen"):
        _load(policy)
    assert run("trust", "forget", "--clock").stdout == "forgotten: 0 versions, and the time\n"
    with pytest.raises(SignatureError, match="1 is a rollback: 2 was seen"):
        _load(policy)
    assert run("trust", "forget", "local:plain").stdout == "forgotten: 1 versions\n"
    _load(policy)


def test_co_signers_agree_on_the_version(home: Path) -> None:
    _sign("alice", "--version", "7")
    _sign("bob")
    assert "version 7" in run("verify", "plain", "--key", "alice.pub", "--key", "bob.pub").stdout


def test_verify_key_wants_each_of_the_keys(home: Path) -> None:
    _sign("alice")
    assert run("verify", "plain", "--key", "alice.pub").exit_code == 0
    for keys in (["--key", "bob.pub"], ["--key", "alice.pub", "--key", "bob.pub"], ["--key", "alice.pub", "--key", "alice.pub"]):
        assert run("verify", "plain", *keys).exit_code == 1


def test_verify_trust_without_a_rule_for_the_source_is_no_proof(home: Path) -> None:
    assert run("verify", "plain", "--trust", "default").exit_code == 1


def test_a_whole_lock_is_signed(home: Path) -> None:
    repository(home / "other", {"modeling_plain.py": "class PlainModel:\n    x = 1\n"})
    assert run("pin", "other").exit_code == 0
    assert run("sign", "remote-code.lock", "--key", "alice", "--password-file", "password").exit_code == 0
    assert len(read_lock(Path("remote-code.lock")).packages) == 2
    for source in ("plain", "other"):
        assert run("verify", source, "--key", "alice.pub").exit_code == 0


def test_what_is_not_pinned_is_not_signed(home: Path) -> None:
    repository(home / "other")
    for source in ("other", "our-org/model"):
        result = run("sign", source, "--key", "alice", "--password-file", "password")
        assert (result.exit_code, "nothing to sign" in result.stderr) == (1, True)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_an_ssh_key_signs_too(home: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "id"], check=True, timeout=60)
    result = run("sign", "plain", "--ssh", "erin")
    place = re.search(r"(\S+\.statement\.json)$", result.stderr.strip())
    assert place is not None
    subprocess.run(["ssh-keygen", "-Y", "sign", "-f", "id", "-n", "safe-remote-code", place[1]], check=True, capture_output=True, timeout=60)
    assert run("verify", "plain", "--key", "id.pub").exit_code == 0
    _load(_policy(["id"], 1))


def test_keys_are_rotated_by_the_old_and_the_new_set(home: Path) -> None:
    policy = _policy(["alice", "bob"], 2)
    rotate = ("trust", "rotate", "team", "--policy", "policy.toml", "--password-file", "password", "--key")
    _sign("carol")
    result = run(*rotate, "alice", "--to", "carol.pub", "--threshold", "1")
    assert (result.exit_code, "not yet in force" in result.stderr) == (0, True)
    with pytest.raises(SignatureError):
        _load(policy)
    assert "not yet in force" in run(*rotate, "bob").stderr, "the new key has not signed"
    assert "in force" in run(*rotate, "carol").stdout
    _load(policy)
    shutil.rmtree("remote-code.signatures/rotations")
    with pytest.raises(SignatureError):
        _load(policy)


USAGE = [
    ("sign", "plain"), ("sign", "plain", "--key", "alice", "--ssh", "x"), ("sign", "plain", "--key", "alice", "--oms"),
    ("sign", "plain", "--key", "alice", "--signature", "x"), ("verify", "plain", "--identity", "x"),
    ("verify", "plain", "--signature", "x"), ("verify", "plain", "--signature", "x", "--key", "alice.pub", "--key", "bob.pub"),
    ("keygen", "x", "--no-password", "--password-file", "password"), ("trust", "forget"),
    ("trust", "rotate", "team", "--policy", "default", "--key", "alice"), ("verify", "plain", "--signature", "x", "--key", "alice.pub", "--trust", "default"),
]  # fmt: skip


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_wrong_usage(words: tuple[str, ...], home: Path) -> None:
    result = run(*words)
    assert result.exit_code == 2, result.output
