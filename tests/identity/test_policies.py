"""Policies: inheritance, deny wins, walls that are off warn, and every mistake is named with its place."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from identity.trees import pinned
from safe_remote_code.errors import DocumentError, NotPinnedError, RefusedError
from safe_remote_code.lockfile import read_lock
from safe_remote_code.pipeline import load_package
from safe_remote_code.policy import Grant, Policy, load_policy
from safe_remote_code.reference import parse

GRANT = '[[grant]]\nwhy = "for the test"\nnames = ["torch.*"]\n'


def _policy(folder: Path, text: str, name: str = "p.toml") -> Policy:
    return load_policy(_written(folder, text, name))


def _written(folder: Path, text: str, name: str = "p.toml") -> Path:
    (folder / name).write_text(f"format = 1\n{text}")
    return folder / name


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "modeling_x.py").write_text("class X:\n    pass\n")
    return folder


def test_a_policy_adds_to_what_it_extends(tmp_path: Path) -> None:
    base, child = load_policy("default"), _policy(tmp_path, 'extends = ["default"]\n' + GRANT)
    assert child.grants == (
        *base.grants,
        Grant(names=("torch.*",), capabilities=(), sources=("*",), why="for the test"),
    )
    assert (child.name, child.pinning, child.deferred) == ("p", base.pinning, base.deferred)


def test_settings_are_inherited_and_the_last_one_wins(tmp_path: Path) -> None:
    _written(tmp_path, f'{GRANT}[identity]\npinning = "record"\n[analysis]\ndeferred = "refuse"\n', "a.toml")
    inherited = _policy(tmp_path, 'name = "b"\nextends = ["a.toml"]\n', "b.toml")
    assert (inherited.pinning, inherited.deferred) == ("record", "refuse")
    stricter = _policy(tmp_path, 'name = "c"\nextends = ["b.toml"]\n[identity]\npinning = "required"\n', "c.toml")
    assert (stricter.pinning, stricter.deferred) == ("required", "refuse")


def test_a_deny_wins_over_every_allow_and_is_inherited_for_good(tmp_path: Path) -> None:
    _written(tmp_path, GRANT + '[sources]\nallow = ["hub:*"]\ndeny = ["hub:evil/*"]\n', "a.toml")
    policy = _policy(
        tmp_path, 'name = "b"\nextends = ["a.toml"]\n[sources]\nallow = ["*", "hub:evil/model"]\n', "b.toml"
    )
    assert policy.allows_source("local:x")
    assert policy.allows_source("hub:good/model")
    assert not policy.allows_source("hub:evil/model")


def test_a_source_that_is_not_allowed_does_not_load(plain: Path, tmp_path: Path) -> None:
    tree = pinned(plain)
    policy = _written(tmp_path, 'extends = ["default"]\n[sources]\nallow = ["hub:our-org/*"]\n')
    with pytest.raises(RefusedError, match="does not allow this source"):
        load_package(parse("modeling_x.X", plain), policy=policy, lockfile=tree.lockfile)


def test_a_grant_to_one_source_is_none_to_another(tmp_path: Path) -> None:
    text = 'name = "p"\n[[grant]]\nwhy = "w"\nnames = ["requests.get"]\ncapabilities = ["network"]\nsources = ["hub:a/*"]\n'
    policy = _policy(tmp_path, text)
    assert policy.granted("hub:a/b").allows("requests.get")
    assert not policy.granted("hub:b/a").allows("requests.get")


def test_a_name_that_falls_under_a_capability_needs_the_capability_too(tmp_path: Path) -> None:
    policy = _policy(tmp_path, 'name = "p"\n[[grant]]\nwhy = "w"\nnames = ["requests.get"]\n')
    assert not policy.granted("hub:a/b").allows("requests.get")


@pytest.mark.parametrize("wall", ["identity", "analysis", "guard", "monitor"])
def test_each_wall_can_be_switched_off_alone_and_that_warns(wall: str, plain: Path, tmp_path: Path) -> None:
    tree = pinned(plain)
    path = _written(tmp_path, f'extends = ["default"]\n[walls]\nunsafe_disable = ["{wall}"]\n')
    policy = load_policy(path)
    assert [name for name in ("identity", "analysis", "guard", "monitor") if not policy.stands(name)] == [wall]
    with pytest.warns(RuntimeWarning, match=wall):
        load_package(parse("modeling_x.X", plain), policy=policy, lockfile=tree.lockfile)


def test_a_wall_that_a_parent_switched_off_stays_off_and_warns(tmp_path: Path) -> None:
    _written(tmp_path, 'extends = ["default"]\n[walls]\nunsafe_disable = ["monitor"]\n', "a.toml")
    assert not _policy(tmp_path, 'extends = ["a.toml"]\n', "b.toml").stands("monitor")


def test_no_shipped_policy_switches_a_wall_off() -> None:
    for name in ("default", "strict", "explore"):
        assert load_policy(name).unsafe_disable == frozenset()


def test_explore_records_on_first_use_and_holds_to_it_afterwards(plain: Path, tmp_path: Path) -> None:
    lockfile = tmp_path / "remote-code.lock"
    ref = parse("modeling_x.X", plain)
    with pytest.raises(NotPinnedError):
        load_package(ref, policy="default", lockfile=lockfile)
    assert not lockfile.exists()
    with pytest.warns(RuntimeWarning, match="recorded .* on first use, unreviewed"):
        load_package(ref, policy="explore", lockfile=lockfile)
    assert [package.source for package in read_lock(lockfile).packages] == ["local:plain"]
    (plain / "modeling_x.py").write_text("class X:\n    changed = True\n")
    with pytest.raises(RefusedError, match="not the pinned one"):
        load_package(ref, policy="explore", lockfile=lockfile)


def test_strict_refuses_what_default_leaves_to_the_guard(tmp_path: Path) -> None:
    folder = tmp_path / "mention"
    folder.mkdir()
    (folder / "modeling_x.py").write_text("import requests\n\n\nclass X:\n    pass\n")
    tree = pinned(folder)
    ref = parse("modeling_x.X", folder)
    load_package(ref, policy="default", lockfile=tree.lockfile)
    with pytest.raises(RefusedError, match="refuses this code"):
        load_package(ref, policy="strict", lockfile=tree.lockfile)


def test_an_edit_of_an_extended_policy_is_noticed(tmp_path: Path) -> None:
    _written(tmp_path, 'extends = ["default"]\nname = "team"\n', "team.toml")
    child = _written(tmp_path, 'extends = ["team.toml"]\nname = "mine"\n')
    assert load_policy(child).deny == () and load_policy(child) is load_policy(child)
    _written(tmp_path, 'extends = ["default"]\nname = "team"\n[sources]\ndeny = ["evil/*"]\n', "team.toml")
    assert load_policy(child).deny == ("evil/*",)


def test_a_changed_policy_file_is_read_again(tmp_path: Path) -> None:
    assert _policy(tmp_path, 'extends = ["default"]\n').pinning == "required"
    assert _policy(tmp_path, 'extends = ["default"]\n[identity]\npinning = "record"\n').pinning == "record"


MISTAKES = {
    "no format": ("name = 'x'\n", "p.toml: format"),
    "another format": ("format = 2\n", "p.toml: format"),
    "not TOML": ("format = 1\n[[grant\n", "p.toml"),
    "an unknown key": (f"format = 1\npinning = 'record'\n{GRANT}", "p.toml: pinning"),
    "an unknown key of a grant": (f"format = 1\nname = 'x'\n{GRANT}name = ['torch']\n", "p.toml: grant[0].name"),
    "a grant without why": ("format = 1\n[[grant]]\nnames = ['a.b']\n", "p.toml: grant[0].why"),
    "a grant with an empty why": ("format = 1\n[[grant]]\nnames = ['a.b']\nwhy = ' '\n", "p.toml: grant[0].why"),
    "a grant of nothing": ("format = 1\n[[grant]]\nwhy = 'w'\n", "p.toml: grant[0].names"),
    "a grant of everything": ("format = 1\n[[grant]]\nwhy = 'w'\nnames = ['*']\n", "p.toml: grant[0].names"),
    "a malformed name": ("format = 1\n[[grant]]\nwhy = 'w'\nnames = ['a..b']\n", "p.toml: grant[0].names"),
    "an unknown capability": ("format = 1\n[[grant]]\nwhy = 'w'\ncapabilities = ['all']\n", "p.toml: grant[0].capabilities"),
    "a name twice": ("format = 1\n[[grant]]\nwhy = 'w'\nnames = ['a.b', 'a.b']\n", "p.toml: grant[0].names"),
    "a second grant with a mistake": (f"format = 1\n{GRANT}[[grant]]\nnames = ['a.b']\n", "p.toml: grant[1].why"),
    "an unknown pinning": (f"format = 1\nname = 'x'\n[identity]\npinning = 'off'\n{GRANT}", "p.toml: identity.pinning"),
    "an unknown deferred": (f"format = 1\nname = 'x'\n[analysis]\ndeferred = 'allow'\n{GRANT}", "p.toml: analysis.deferred"),
    "an unknown wall": (f"format = 1\nname = 'x'\n[walls]\nunsafe_disable = ['kernel']\n{GRANT}", "p.toml: walls.unsafe_disable"),
    "walls off without the word": (f"format = 1\nname = 'x'\n[walls]\ndisable = ['guard']\n{GRANT}", "p.toml: walls.disable"),
    "sources that are no list": (f"format = 1\nname = 'x'\n[sources]\nallow = '*'\n{GRANT}", "p.toml: sources.allow"),
    "grants that are a table": ("format = 1\n[grant]\nwhy = 'w'\n", "p.toml: grant"),
    "a circle": ("format = 1\nextends = ['p.toml']\n", "p.toml: extends"),
    "a parent that is not there": ("format = 1\nextends = ['absent.toml']\n", "absent.toml"),
    "a policy that grants nothing": ("format = 1\nname = 'x'\n", "x"),
    "a policy that allows nothing": (f"format = 1\nname = 'x'\n[sources]\nallow = []\n{GRANT}", "x"),
    "a library": (f"format = 1\n{GRANT}", "p.toml"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_named_with_its_place(case: str, tmp_path: Path) -> None:
    text, place = MISTAKES[case]
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(DocumentError) as caught:
        load_policy(tmp_path / "p.toml")
    assert place in caught.value.subject


@pytest.mark.parametrize("name", ["no-such-policy", "../default", "capabilities", ""])
def test_what_is_no_policy_is_refused(name: str) -> None:
    with pytest.raises(DocumentError):
        load_policy(name)


def test_loading_warns_of_nothing_under_a_shipped_policy(plain: Path) -> None:
    tree = pinned(plain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_package(parse("modeling_x.X", plain), lockfile=tree.lockfile)


def test_a_file_whose_name_is_not_that_of_a_policy_is_told_what_is_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours").write_text('format = 1\nextends = ["default"]\n')
    with pytest.raises(DocumentError, match=r"ends in \.toml") as raised:
        load_policy("ours")
    assert raised.value.remedy == "rename it to ours.toml, or write ./ours"
    assert load_policy("./ours").name == "ours"
