"""Code that must be signed, through transformers: loaded by the user, and asked for by other remote code."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from integration.repos import is_guarded, write
from pinned import pin_folder
from safe_remote_code import installed
from safe_remote_code.errors import SignatureError
from safe_remote_code.lockfile import read_lock
from safe_remote_code.signing import dsse
from safe_remote_code.signing.approval import Approval
from safe_remote_code.signing.keys import PrivateKey, generate
from safe_remote_code.signing.statements import PAYLOAD_TYPE
from safe_remote_code.signing.store import package_folder, write_file

pytestmark = pytest.mark.torch
INNER = """
from transformers import PretrainedConfig


class InnerConfig(PretrainedConfig):
    model_type = "inner"
"""
OUTER = """
from transformers import AutoConfig, PretrainedConfig


class OuterConfig(PretrainedConfig):
    model_type = "outer"

    def __init__(self, inner=None, **kwargs):
        super().__init__(**kwargs)
        self.found = None
        if inner is not None:
            self.found = AutoConfig.from_pretrained(inner, trust_remote_code=True).model_type
"""


def _approve(lockfile: Path, key: PrivateKey) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    for package in read_lock(lockfile).packages:
        approval = Approval(
            source=package.source, commit=package.commit, digest=package.digest, entry_points=package.entry_points,
            capabilities=package.capabilities, version=1, issued=now, expires=now + timedelta(days=1),
        )  # fmt: skip
        write_file(package_folder(lockfile, package.digest) / "a.json", dsse.sign(approval.payload(), PAYLOAD_TYPE, [key]))


def test_a_nested_load_is_judged_too_and_the_monitor_lets_it_read_signatures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, not_installed: None
) -> None:
    from transformers import AutoConfig

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    inner = write(tmp_path / "outer_repo" / "inner_repo", {"configuration_inner.py": INNER, "config.json": json.dumps({"model_type": "inner", "auto_map": {"AutoConfig": "configuration_inner.InnerConfig"}})})
    outer = write(tmp_path / "outer_repo", {"configuration_outer.py": OUTER, "config.json": json.dumps({"model_type": "outer", "inner": str(inner), "auto_map": {"AutoConfig": "configuration_outer.OuterConfig"}})})
    lockfile, key = tmp_path / "remote-code.lock", generate()
    for folder in (inner, outer):
        pin_folder(folder, lockfile)
    policy = tmp_path / "policy.toml"
    policy.write_text(
        f'format = 1\nextends = ["default"]\n[[key]]\nname = "k"\npublic = """\n{key.public.pem}"""\n'
        '[[trust]]\nname = "all"\nsources = ["*"]\nkeys = ["k"]\nexpires = "2099-01-01T00:00:00Z"\nwhy = "all"\n'
    )
    with installed(policy=policy, lockfile=lockfile):
        with pytest.raises(SignatureError, match="0 signed"):
            AutoConfig.from_pretrained(outer, trust_remote_code=True)
        _approve(lockfile, key)
        config = AutoConfig.from_pretrained(outer, trust_remote_code=True)
    assert is_guarded(type(config))
    assert config.found == "inner"
    assert len(json.loads((tmp_path / "state" / "safe-remote-code" / "seen.json").read_text())["seen"]) == 2
