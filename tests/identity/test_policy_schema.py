"""The published schema and the loader say the same about a policy file."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from jsonschema import Draft202012Validator

from identity.test_policies import MISTAKES
from safe_remote_code.capability import CAPABILITIES
from safe_remote_code.errors import DocumentError
from safe_remote_code.policy import WALLS, Execution, load_policy

POLICIES = Path(__file__).resolve().parents[2] / "policies"
SCHEMA = json.loads((POLICIES / "policy.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
SHIPPED = sorted(path for path in POLICIES.rglob("*.toml") if path.name not in ("capabilities.toml", "environment.toml"))
#: Only the loader sees these: they are about other files, about TOML, or about what is left after inheritance.
BEYOND_THE_SCHEMA = {"not TOML", "a circle", "a parent that is not there", "a policy that grants nothing", "a library"}

G = '[[grant]]\nwhy = "w"\n'
REFUSED_BY_BOTH = {
    "format as text": 'format = "1"\n' + G + 'names = ["a.b"]\n',
    "format as a boolean": "format = true\n" + G + 'names = ["a.b"]\n',
    "a name that is a number": f"format = 1\nname = 1\n{G}names = ['a.b']\n",
    "extends that is text": "format = 1\nextends = 'default'\n",
    "extends twice the same": "format = 1\nextends = ['default', 'default']\n",
    "names that are text": f"format = 1\nname = 'x'\n{G}names = 'a.b'\n",
    "names that are numbers": f"format = 1\nname = 'x'\n{G}names = [1]\n",
    "a name with a space": f"format = 1\nname = 'x'\n{G}names = ['a b']\n",
    "a name that begins with a glob": f"format = 1\nname = 'x'\n{G}names = ['?orch.x']\n",
    "a name that begins with a set": f"format = 1\nname = 'x'\n{G}names = ['[a-z]orch.x']\n",
    "an empty name": f"format = 1\nname = 'x'\n{G}names = ['']\n",
    "a name outside ASCII": f"format = 1\nname = 'x'\n{G}names = ['tоrch.x']\n",
    "names and capabilities both empty": f"format = 1\nname = 'x'\n{G}names = []\ncapabilities = []\n",
    "a why that is a list": "format = 1\nname = 'x'\n[[grant]]\nwhy = ['w']\nnames = ['a.b']\n",
    "sources as an array": "format = 1\nextends = ['default']\n[[sources]]\nallow = ['*']\n",
    "an unknown key of sources": "format = 1\nextends = ['default']\n[sources]\nallowed = ['*']\n",
    "a deny that is text": "format = 1\nextends = ['default']\n[sources]\ndeny = '*'\n",
    "an unknown key of identity": "format = 1\nextends = ['default']\n[identity]\npin = 'required'\n",
    "an unknown key of analysis": "format = 1\nextends = ['default']\n[analysis]\ndefer = 'guard'\n",
    "a pinning that is a boolean": "format = 1\nextends = ['default']\n[identity]\npinning = true\n",
    "a wall that is text": "format = 1\nextends = ['default']\n[walls]\nunsafe_disable = 'guard'\n",
    "a wall twice": "format = 1\nextends = ['default']\n[walls]\nunsafe_disable = ['guard', 'guard']\n",
    "an execution that nobody knows": "format = 1\nextends = ['default']\nexecution = 'docker'\n",
    "an execution that is a boolean": "format = 1\nextends = ['default']\nexecution = true\n",
    "an unknown key of worker": "format = 1\nextends = ['default']\n[worker]\nseconds = 1\n",
    "a deadline of nothing": "format = 1\nextends = ['default']\n[worker]\nreply_seconds = 0\n",
    "a deadline that is text": "format = 1\nextends = ['default']\n[worker]\nreply_seconds = '1'\n",
    "a deadline that is a boolean": "format = 1\nextends = ['default']\n[worker]\nreply_seconds = true\n",
    "less memory than none": "format = 1\nextends = ['default']\n[worker]\nmemory_bytes = -1\n",
    "a table that nobody knows": "format = 1\nextends = ['default']\n[sandbox]\nx = 1\n",
    **{case: text for case, (text, _) in MISTAKES.items() if case not in BEYOND_THE_SCHEMA},
}
KEY = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----"""
SIGNED = f'format = 1\nextends = ["default"]\n[[key]]\nname = "alice"\npublic = """\n{KEY}\n"""\n'
RULE = 'name = "team"\nsources = ["hub:a/*"]\nkeys = ["alice"]\nexpires = "2099-01-01T00:00:00Z"\nwhy = "w"\n'
REVOKED = f'[[revoked]]\nkey_id = "{"0" * 64}"\nwhy = "w"\n'
REFUSED_BY_BOTH |= {
    "a key without its text": 'format = 1\nextends = ["default"]\n[[key]]\nname = "alice"\n',
    "a key that is a private one": SIGNED.replace("PUBLIC KEY", "PRIVATE KEY"),
    "a rule without an end": f"{SIGNED}[[trust]]\n{RULE}".replace('expires = "2099-01-01T00:00:00Z"\n', ""),
    "a rule that ends in a TOML date": f"{SIGNED}[[trust]]\n{RULE}".replace('"2099-01-01T00:00:00Z"', "2099-01-01T00:00:00Z"),
    "a rule that ends at no time": f"{SIGNED}[[trust]]\n{RULE}".replace("2099-01-01T00:00:00Z", "never"),
    "a rule without why": f"{SIGNED}[[trust]]\n{RULE}".replace('why = "w"\n', ""),
    "a rule with an empty why": f"{SIGNED}[[trust]]\n{RULE}".replace('why = "w"', 'why = " "'),
    "a rule without keys": f"{SIGNED}[[trust]]\n{RULE}".replace('keys = ["alice"]\n', ""),
    "a rule with no key": f"{SIGNED}[[trust]]\n{RULE}".replace('["alice"]', "[]"),
    "a rule without sources": f"{SIGNED}[[trust]]\n{RULE}".replace('sources = ["hub:a/*"]\n', ""),
    "a rule with no source": f"{SIGNED}[[trust]]\n{RULE}".replace('["hub:a/*"]', "[]"),
    "a rule of an odd name": f"{SIGNED}[[trust]]\n{RULE}".replace('"team"', '"../team"'),
    "a threshold of zero": f"{SIGNED}[[trust]]\n{RULE}threshold = 0\n",
    "a threshold that is text": f"{SIGNED}[[trust]]\n{RULE}threshold = '1'\n",
    "a threshold that is a boolean": f"{SIGNED}[[trust]]\n{RULE}threshold = true\n",
    "a minimum version of zero": f"{SIGNED}[[trust]]\n{RULE}minimum_version = 0\n",
    "an unknown key of a rule": f"{SIGNED}[[trust]]\n{RULE}optional = true\n",
    "a revocation of a name": f"{SIGNED}[[revoked]]\nkey_id = 'alice'\nwhy = 'w'\n",
    "a revocation without why": f"{SIGNED}[[revoked]]\nkey_id = '{'0' * 64}'\n",
    "a revocation with an unknown key": f"{SIGNED}{REVOKED}since = 'now'\n",
}  # fmt: skip
#: Only the loader sees these: the schema does not compare keys.
REFUSED_BY_THE_LOADER = {
    "a key that nobody named": f"{SIGNED}[[trust]]\n{RULE}".replace('["alice"]', '["bob"]'),
    "a name for two keys": SIGNED + SIGNED[SIGNED.index("[[key]]") :],
    "one key under two names": SIGNED + SIGNED[SIGNED.index("[[key]]") :].replace("alice", "bob") + f"[[trust]]\n{RULE}".replace('["alice"]', '["alice", "bob"]'),
    "a threshold over the number of keys": f"{SIGNED}[[trust]]\n{RULE}threshold = 2\n",
    "two rules of one name": f"{SIGNED}[[trust]]\n{RULE}[[trust]]\n{RULE}",
    "no key at all": SIGNED.replace("MCowBQ", "AAAAAA"),
}  # fmt: skip
GOOD = {
    "a trust rule": f"{SIGNED}[[trust]]\n{RULE}threshold = 1\nminimum_version = 3\n{REVOKED}",
    "a wall off": 'format = 1\nextends = ["default"]\n[walls]\nunsafe_disable = ["guard"]\n',
    "a worker": "format = 1\nextends = ['default']\nexecution = 'worker'\n[worker]\nreply_seconds = 1\nmemory_bytes = 0\n",
    "everything at once": 'format = 1\nname = "x"\nwhy = "w"\nextends = ["default", "libraries/torch"]\n[sources]\nallow = ["*"]\n'
    'deny = ["hub:a/*"]\n[identity]\npinning = "record"\n[analysis]\ndeferred = "refuse"\n'
    f'{G}names = ["a.b*", "a-b.[ab].c"]\ncapabilities = ["network"]\nsources = ["hub:a/b"]\n',
    "capabilities alone": f"format = 1\nname = 'x'\n{G}capabilities = ['process']\n",
}  # fmt: skip


def test_the_schema_is_itself_valid() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_policy_and_library_meets_it(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(tomllib.loads(path.read_text()))] == []


@pytest.mark.parametrize("case", REFUSED_BY_BOTH)
def test_what_the_schema_refuses_the_loader_refuses(case: str, tmp_path: Path) -> None:
    text = REFUSED_BY_BOTH[case]
    assert list(VALIDATOR.iter_errors(tomllib.loads(text)))
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(DocumentError):
        load_policy(tmp_path / "p.toml")


@pytest.mark.parametrize("case", REFUSED_BY_THE_LOADER)
def test_trust_that_could_not_hold_is_refused(case: str, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(REFUSED_BY_THE_LOADER[case])
    with pytest.raises(DocumentError):
        load_policy(tmp_path / "p.toml")


def test_trust_is_inherited_and_a_revocation_for_good(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(f"{SIGNED}[[trust]]\n{RULE}{REVOKED}")
    (tmp_path / "b.toml").write_text('format = 1\nextends = ["a.toml"]\n')
    (tmp_path / "c.toml").write_text('format = 1\nextends = ["a.toml", "b.toml"]\n')
    for name in ("b.toml", "c.toml"):
        policy = load_policy(tmp_path / name)
        assert [rule.name for rule in policy.trust_for("hub:a/x")] == ["team"]
        assert policy.trust_for("hub:b/x") == ()
        assert policy.revoked == {"0" * 64}


@pytest.mark.parametrize("case", GOOD)
def test_what_the_loader_takes_the_schema_takes(case: str, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(GOOD[case])
    load_policy(tmp_path / "p.toml")
    assert list(VALIDATOR.iter_errors(tomllib.loads(GOOD[case]))) == []


def test_words_of_the_schema_are_those_of_the_code() -> None:
    grant = SCHEMA["$defs"]["grant"]["properties"]
    assert set(grant["capabilities"]["items"]["enum"]) == CAPABILITIES
    assert tuple(SCHEMA["properties"]["execution"]["enum"]) == get_args(Execution)
    assert tuple(SCHEMA["properties"]["walls"]["properties"]["unsafe_disable"]["items"]["enum"]) == WALLS


def test_it_lies_where_the_wheel_takes_it_from() -> None:
    assert (POLICIES / "default.toml").is_file()
    assert SCHEMA["$id"] == "urn:safe-remote-code:policy:1"
