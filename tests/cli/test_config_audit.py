"""JSON that names code or carries permission is found at its place, at any depth; ordinary JSON is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_remote_code.config_audit import CHECKS, audit_json

REFUSED = {
    "trust_remote_code": True,
    "allow_remote": True,
    "attn_implementation": "kernels-community/flash-attn",
    "_attn_implementation": {"text_config": "evil/kernel"},
    "_attn_implementation_internal": "evil/kernel",
    "auto_map": {"AutoModel": "../../etc.Model"},
    "model_file": "model.py",
    "megatron_core": "evil.module",
    "parent_library": "evil.module",
    "_class_name": ["module", "Class"],
}
NOTED = {
    "auto_map": {"AutoModel": "other/repo--modeling.Model"},
    "_attn_implementation_internal": "sdpa",
    "custom_pipelines": {"x": {"impl": "pipeline.X"}},
    "audio_tokenizer": "x/y",
    "tokenizer_kwargs": {"use_fast": True},
    "base_model_name_or_path": "x/y",
}
CLEAN = {
    "trust_remote_code": False,
    "allow_remote": False,
    "attn_implementation": "flash_attention_2",
    "_attn_implementation": None,
    "auto_map": {"AutoModel": "modeling.Model", "AutoTokenizer": ["tokenization.T", None]},
    "model_file": None,
    "megatron_core": "megatron.core",
    "parent_library": "transformers.models.llama.modeling_llama",
    "_class_name": "Model",
}


@pytest.mark.parametrize(("key", "value"), REFUSED.items())
def test_it_refuses(key: str, value: object) -> None:
    (found,) = audit_json("config.json", json.dumps({"a": 1, "nested": [{key: value}]}))
    assert (found.enforcement, found.rule) == ("refuse", "config-names-code")
    assert found.message.startswith(f"{key}: ")


@pytest.mark.parametrize(("key", "value"), NOTED.items())
def test_it_notes(key: str, value: object) -> None:
    (found,) = audit_json("config.json", json.dumps({key: value}))
    assert found.enforcement == "note"


@pytest.mark.parametrize(("key", "value"), CLEAN.items())
def test_it_has_nothing_to_say(key: str, value: object) -> None:
    assert audit_json("config.json", json.dumps({key: value})) == []


def test_every_key_has_a_refused_or_noted_case() -> None:
    assert {*REFUSED, *NOTED} == set(CHECKS)


def test_the_place_is_that_of_the_key() -> None:
    text = '{\n  "vocab": "trust_remote_code",\n  "x": {"trust_remote_code" : true}\n}'
    (found,) = audit_json("config.json", text)
    assert (found.line, found.column) == (3, 9)


def test_a_key_spelt_with_escapes_or_given_twice_is_found_each_time() -> None:
    text = '{"trust\\u005fremote_code": true, "trust_remote_code": false, "trust_remote_code": 1}'
    assert len(audit_json("config.json", text)) == 2


def test_a_key_inside_a_string_is_text() -> None:
    assert audit_json("config.json", json.dumps({"chat_template": '"trust_remote_code": true'})) == []


_json = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(sorted(CHECKS)), inner),
)


@given(_json, st.sampled_from([None, 1]), st.booleans())
def test_it_finds_as_many_as_a_walk_over_the_parsed_document(document: object, indent: int | None, plain: bool) -> None:
    def walk(value: object) -> int:
        if isinstance(value, dict):
            own = sum(CHECKS[key](item) is not None for key, item in value.items() if key in CHECKS)
            return own + sum(map(walk, value.values()))
        return sum(map(walk, value)) if isinstance(value, list) else 0

    text = json.dumps(document, indent=indent, ensure_ascii=plain)
    assert len(audit_json("config.json", text)) == walk(document)
