"""Two configurations of a class share no container that one of them could change for the other."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

pytest.importorskip("RestrictedPython")
pytest.importorskip("transformers")

from safe_remote_code.guard.armour import prepare


def containers(value: Any, place: str = "") -> dict[str, object]:
    """The lists, dictionaries and sets in the namespace of `value`, and below, by where they stand."""
    found: dict[str, object] = {}
    if isinstance(value, list | dict | set):
        found[place] = value
    items = list(getattr(value, "__dict__", {}).items()) if not isinstance(value, type) else []
    if isinstance(value, dict):
        items += value.items()
    if isinstance(value, list | tuple):
        items += enumerate(value)
    for key, item in items:
        if len(place) < 200:
            found |= containers(item, f"{place}.{key}")
    return found


def test_configurations_share_nothing() -> None:
    prepare()
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES

    shared, made = [], 0
    for kind in CONFIG_MAPPING_NAMES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                one, other = CONFIG_MAPPING[kind](), CONFIG_MAPPING[kind]()
            except Exception:  # needs a library, or arguments, that are not here
                continue
        made += 1
        known = {id(value) for value in containers(other).values()}
        shared += [f"{kind}{place}" for place, value in containers(one).items() if id(value) in known]
    assert made > 150
    assert not shared
