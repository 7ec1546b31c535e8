"""The store: canonical, atomic, and malformed in no way that is not a `DocumentError` with its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audits.make import DAY, TODAY, audit, digest, exemption, key, trust, violation
from audits.test_peers import ISSUED, pinned
from safe_remote_code.audits.document import parse_set, parse_store, read_store
from safe_remote_code.audits.records import Audit, Criterion, Exemption, Violation
from safe_remote_code.audits.store import AuditSet, AuditStore
from safe_remote_code.audits.writing import format_set, format_store, write_store
from safe_remote_code.errors import DocumentError

GOOD = AuditStore(
    required=("safe-to-serve",),
    signatures=1,
    criteria=(Criterion(name="own", description="ours", implies=("safe-to-load",)),),
    keys=(key("ann"), key("bob", revoked=TODAY, why="stolen"), key("carol", peer="acme")),
    audits=(audit("a", by=("ann", "bob"), notes="first\nsecond"), audit("b", "a", commit="2" * 40)),
    violations=(violation(digest("c")),),
    exemptions=(exemption("d"), exemption("e", until=TODAY + DAY, notes="old")),
    trusted=(trust(),),
    imports=(replace(pinned("acme"), map=(("theirs", "own"),)),),
)
TEXT = format_store(GOOD)

_text = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)
_digests = st.binary(min_size=32, max_size=32).map(lambda data: f"sha256:{data.hex()}")
_dates = st.dates()
_criteria = st.sampled_from([("safe-to-load",), ("safe-to-serve",), ("safe-to-load", "safe-to-serve")])
_audits = st.builds(Audit, source=_text, digest=_digests, criteria=_criteria, who=_text, date=_dates,
                    base=st.none() | _digests, notes=st.just("") | _text)  # fmt: skip
_violations = st.builds(Violation, digest=_digests, who=_text, why=_text, date=_dates)
_exemptions = st.builds(Exemption, source=_text, digest=_digests, criteria=_criteria, date=_dates)
_stores = st.builds(
    AuditStore,
    audits=st.lists(_audits, max_size=3, unique_by=lambda item: item.said).map(tuple),
    violations=st.lists(_violations, max_size=2, unique_by=lambda item: item.digest).map(tuple),
    exemptions=st.lists(_exemptions, max_size=2, unique_by=lambda item: item.digest).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(_stores)
@example(GOOD)
def test_what_is_written_is_what_is_read(store: AuditStore) -> None:
    text = format_store(store)
    assert parse_store(text.encode(), "store") == store
    assert format_store(parse_store(text.encode(), "store")) == text


def test_a_set_is_read_as_it_was_written() -> None:
    shared = AuditSet(issued=ISSUED, criteria=GOOD.criteria, audits=GOOD.audits, violations=GOOD.violations)
    assert parse_set(format_set(shared).encode(), "set") == shared


def test_the_same_records_are_the_same_bytes_whatever_their_order() -> None:
    turned = replace(GOOD, audits=GOOD.audits[::-1], keys=GOOD.keys[::-1], exemptions=GOOD.exemptions[::-1])
    assert format_store(turned) == TEXT


@given(st.integers(0, len(TEXT.encode()) - 1))
def test_a_store_cut_off_anywhere_is_refused(length: int) -> None:
    if TEXT.encode()[length:].strip():
        with pytest.raises(DocumentError):
            parse_store(TEXT.encode()[:length], "store")


def test_a_store_cut_off_at_any_line_is_refused() -> None:
    lines = TEXT.splitlines(keepends=True)
    for count in range(len(lines)):
        with pytest.raises(DocumentError):
            parse_store("".join(lines[:count]).encode(), "store")


@settings(max_examples=300)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@example(b"\xff")
@example(b"format = 1\nrecords = 0\n" + b"x = " + b"[" * 5000)
def test_arbitrary_bytes_are_a_store_or_a_document_error(data: bytes) -> None:
    for parse in (parse_store, parse_set):
        try:
            parse(data, "store")
        except DocumentError as error:
            assert error.subject.startswith("store")


HOSTILE = {
    "format of another version": (("format = 1", "format = 2"), "store: format"),
    "a count too low": (("records = 1", "records = "), "store: records"),
    "a count that is true": (("records = 14", "records = true"), "store: records"),
    "no required criteria": (('required = ["safe-to-serve"]', "required = []"), "store"),
    "a required criterion that is not defined": (('required = ["safe-to-serve"]', 'required = ["good"]'), "store"),
    "no signatures although keys are listed": (("signatures = 1", "signatures = 0"), "store"),
    "more signatures than keys": (("signatures = 1", "signatures = 3"), "store"),
    "signatures that are true": (("signatures = 1", "signatures = true"), "store: signatures"),
    "an unknown key": (("signatures = 1", "signatures = 1\nverified = true"), "store: verified"),
    "an unknown key of an audit": (('who = "Ann"', 'who = "Ann"\nverified = true'), "store: audit[0].verified"),
    "a short digest": ((f'digest = "{digest("a")}', 'digest = "sha256:00'), "store: audit[0]"),
    "a delta from a name": ((f'delta_from = "{digest("a")}', 'delta_from = "v1'), "store: audit[1]"),
    "criteria that are a string": (('criteria = ["safe-to-load"]', 'criteria = "safe-to-load"'),
                                   "store: audit[0].criteria"),
    "no criteria": (('criteria = ["safe-to-load"]', "criteria = []"), "store: audit[0]"),
    "a criterion that is not defined": (('criteria = ["safe-to-load"]', 'criteria = ["good"]'), "store"),
    "a date that is text": (("date = 2026-11-23", 'date = "2026-11-23"'), "store: audit[0].date"),
    "a date with a time": (("date = 2026-11-23", "date = 2026-11-23T00:00:00Z"), "store: audit[0].date"),
    "nobody": (('who = "Ann"', 'who = " "'), "store: audit[0]"),
    "a name with an escape sequence": (('who = "Ann"', r'who = "\u001b[2J"'), "store: audit[0]"),
    "a key id in capitals": (('[[audit.signature]]\nkey = "', '[[audit.signature]]\nkey = "A'),
                             "store: audit[0].signature[0]"),
    "a revocation without a reason": (('why = "stolen"\n', ""), "store: key[1]"),
    "a key of a peer that is not there": (('peer = "acme"', 'peer = "emca"'), "store"),
    "trust without an end": (("until = 2026-12-23\n", ""), "store: trusted[0].until"),
    "trust for ever": (("until = 2026-12-23", "until = 9999-12-31"), "store: trusted[0]"),
    "trust in everybody": (('"hub:org/*"', '"hub:*"'), "store: trusted[0]"),
    "an exemption that ends before it begins": (("until = 2026-11-24", "until = 2026-11-22"), "store: exemption[1]"),
    "a violation without a reason": (('why = "sends tokens away"\n', ""), "store: violation[0].why"),
    "an import that climbs": (('name = "acme"\norigin', 'name = "../acme"\norigin'), "store: import[0]"),
    "an import without a threshold": (("threshold = 1", "threshold = 0"), "store: import[0]"),
    "a map that maps nothing": (('map = ["theirs=own"]', 'map = ["theirs"]'), "store: import[0].map[0]"),
    "audits that are no tables": (("[[audit]]", "[audit]"), "store"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_store_is_refused_at_its_place(case: str) -> None:
    (old, new), place = HOSTILE[case]
    assert old in TEXT, TEXT
    with pytest.raises(DocumentError) as caught:
        parse_store(TEXT.replace(old, new, 1).encode(), "store")
    assert caught.value.subject.startswith(place)


def test_a_record_twice_is_refused() -> None:
    block = TEXT[TEXT.index("\n[[violation]]") : TEXT.index("\n[[exemption]]")]
    with pytest.raises(DocumentError, match="there twice"):
        parse_store(TEXT.replace("records = 14", "records = 15").replace(block, block + block).encode(), "store")


def test_hidden_characters_are_spelt_out_in_the_file() -> None:
    sly = replace(GOOD, violations=(replace(violation(digest("c")), why="fine \u202e bad \u200b"),))
    text = format_store(sly)
    assert "fine \\u202e bad \\u200b" in text
    assert parse_store(text.encode(), "store") == sly


def test_no_store_is_an_error_that_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        read_store(tmp_path / "remote-code-audits.toml")
    assert caught.value.remedy == "safe-remote-code init"


def test_it_is_written_whole_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "remote-code-audits.toml"
    write_store(GOOD, path)
    assert read_store(path) == GOOD
    assert [entry.name for entry in tmp_path.iterdir()] == ["remote-code-audits.toml"]
    with pytest.raises(DocumentError, match="cannot be written"):
        write_store(GOOD, tmp_path / "nowhere" / "store.toml")
