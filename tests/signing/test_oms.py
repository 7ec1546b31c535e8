"""OMS bundles: what is refused of bundle, chain and tree. Interop with the tool itself: `interop.py`."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

from cli.commands import run
from safe_remote_code.errors import DigestMismatchError, RefusedError, SignatureError
from safe_remote_code.limits import MAX_CERTIFICATES, MAX_KEY_BYTES
from safe_remote_code.signing import dsse, oms
from safe_remote_code.signing.certificates import parse_certificates
from safe_remote_code.signing.keys import PrivateKey, generate
from safe_remote_code.signing.oms import CertificateTrust, ModelManifest, check_model_path, make_bundle, verify_bundle
from safe_remote_code.verify.model_tree import Differences, check_signed, is_code, named_digests, skipped
from signing.chains import NOW, Party, chain_bundle, party

KEY, OTHER = generate("ecdsa-p256"), generate("ecdsa-p256")
FILES = {"a.py": "1" * 64, "weights (1).bin": "2" * 64}
BUNDLE = make_bundle("model", FILES, (".git",), KEY)
Edit = Callable[[dict[str, Any]], object]


def _resigned(edit: Edit, key: PrivateKey = KEY) -> bytes:
    """The bundle with an edited payload, signed again: what a hostile signer can make."""
    value = json.loads(BUNDLE)
    statement = json.loads(base64.b64decode(value["dsseEnvelope"]["payload"]))
    edit(statement)
    payload = json.dumps(statement).encode()
    value["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    signature = key.sign(dsse.pae(payload, "application/vnd.in-toto+json"))
    value["dsseEnvelope"]["signatures"] = [{"sig": base64.b64encode(signature).decode(), "keyid": ""}]
    return json.dumps(value).encode()


def _edited(edit: Edit) -> bytes:
    value = json.loads(BUNDLE)
    edit(value)
    return json.dumps(value).encode()


def test_what_was_signed_comes_back() -> None:
    manifest = verify_bundle(BUNDLE, KEY.public)
    assert (dict(manifest.files), manifest.ignored, manifest.key) == (FILES, (".git",), KEY.public)


def test_one_flipped_bit_anywhere_in_a_bundle_is_refused() -> None:
    for index in range(len(BUNDLE)):
        for bit in (1, 32):  # 32: an ASCII letter in the other case
            with pytest.raises(SignatureError):
                verify_bundle(BUNDLE[:index] + bytes([BUNDLE[index] ^ bit]) + BUNDLE[index + 1 :], KEY.public)


def _resource(key: str, value: object) -> Edit:
    return lambda statement: statement["predicate"]["resources"][0].__setitem__(key, value)


def _setting(key: str, value: object) -> Edit:
    return lambda statement: statement["predicate"]["serialization"].__setitem__(key, value)


def _blake3(statement: dict[str, Any]) -> None:
    statement["predicate"]["serialization"]["hash_type"] = "blake3"


BAD_PAYLOADS: dict[str, Edit] = {
    "another predicate": lambda value: value.__setitem__("predicateType", "https://model_signing/Digests/v0.1"),
    "our own predicate": lambda value: value.__setitem__("predicateType", "urn:safe-remote-code:approval:1"),
    "shards": _setting("method", "shards"),
    "BLAKE3": _blake3,
    "a hash that is none": _setting("hash_type", "none"),
    "another hash of one file": _resource("algorithm", "md5"),
    "BLAKE2b of one file": _resource("algorithm", "blake2b"),
    "BLAKE2b of one file, by its other name": _resource("algorithm", "blake2"),
    "resources that are text": lambda value: value["predicate"].__setitem__("resources", ["a.py"]),
    "a resource without a name": lambda value: value["predicate"]["resources"][0].__delitem__("name"),
    "a resource without a digest": lambda value: value["predicate"]["resources"][0].__delitem__("digest"),
    "no word on how it was serialised": lambda value: value["predicate"].__delitem__("serialization"),
    "a digest that was exchanged": _resource("digest", "3" * 64),
    "a digest of another length": _resource("digest", "1" * 63),
    "a digest in upper case": _resource("digest", "A" * 64),
    "an absolute path": _resource("name", "/etc/passwd"),
    "a path that leads out": _resource("name", "../a.py"),
    "a path with a dot": _resource("name", "./a.py"),
    "a path with an empty part": _resource("name", "x//a.py"),
    "a backslash": _resource("name", "x\\a.py"),
    "a control character": _resource("name", "a\n.py"),
    "an unpaired surrogate": _resource("name", "a\ud800.py"),
    "a NUL": _resource("name", "a.py\0"),
    "a path twice": lambda value: value["predicate"]["resources"].append(value["predicate"]["resources"][0]),
    "no files": lambda value: value["predicate"].__setitem__("resources", []),
    "no files, and the root digest of nothing": lambda value: (value["predicate"].__setitem__("resources", []), value["subject"][0]["digest"].__setitem__("sha256", hashlib.sha256().hexdigest())),
    "a file less than the root digest": lambda value: value["predicate"]["resources"].pop(),
    "two subjects": lambda value: value["subject"].append({"name": "x", "digest": value["subject"][0]["digest"]}),
    "no subject": lambda value: value.__setitem__("subject", []),
    "ignore_paths that are text": _setting("ignore_paths", "*"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_PAYLOADS)
def test_a_payload_that_is_not_plain_is_refused_though_it_was_signed(case: str) -> None:
    with pytest.raises(SignatureError):
        verify_bundle(_resigned(BAD_PAYLOADS[case]), KEY.public)
    verify_bundle(_resigned(lambda _: None), KEY.public)


def _old_encoding(value: dict[str, Any]) -> None:
    """The encoding of version 0.2, which the tool accepts to this day."""
    payload = base64.b64decode(value["dsseEnvelope"]["payload"])
    kind = "application/vnd.in-toto+json"
    signature = KEY.sign(f"DSSEV1 {len(kind)} {kind} {len(payload)} {payload!r}".encode())
    value["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()


BAD_BUNDLES: dict[str, Edit] = {
    "the encoding of version 0.2": _old_encoding,
    "another media type": lambda value: value.__setitem__("mediaType", "application/vnd.dev.sigstore.bundle.v0.1+json"),
    "no signature": lambda value: value["dsseEnvelope"].__setitem__("signatures", []),
    "two signatures": lambda value: value["dsseEnvelope"]["signatures"].append(value["dsseEnvelope"]["signatures"][0]),
    "a signature that is text": lambda value: value["dsseEnvelope"].__setitem__("signatures", ["x"]),
    "the hint of another key": lambda value: value["verificationMaterial"]["publicKey"].__setitem__("hint", "0" * 64),
    "a key of its own": lambda value: value["verificationMaterial"]["publicKey"].__setitem__("rawBytes", base64.b64encode(OTHER.public.der).decode()),
    "no material": lambda value: value.__setitem__("verificationMaterial", {}),
    "a chain beside the key": lambda value: value["verificationMaterial"].__setitem__("x509CertificateChain", {"certificates": []}),
    "a keyless certificate": lambda value: value["verificationMaterial"].__setitem__("certificate", {"rawBytes": ""}),
    "a log entry": lambda value: value["verificationMaterial"].__setitem__("tlogEntries", [{}]),
    "a message signature beside it": lambda value: value.__setitem__("messageSignature", {}),
    "no envelope": lambda value: value.__delitem__("dsseEnvelope"),
}


@pytest.mark.parametrize("case", BAD_BUNDLES)
def test_a_bundle_of_another_kind_is_refused(case: str) -> None:
    with pytest.raises(SignatureError):
        verify_bundle(_edited(BAD_BUNDLES[case]), KEY.public)


def _blake2(hash_type: str, *algorithms: str) -> Edit:
    """The statement with BLAKE2b digests, under one name or the other."""
    def edit(value: dict[str, Any]) -> None:
        value["predicate"]["serialization"]["hash_type"] = hash_type
        for resource, algorithm, digit in zip(value["predicate"]["resources"], algorithms, "12", strict=True):
            resource |= {"algorithm": algorithm, "digest": digit * 128}
        root = hashlib.sha256(bytes.fromhex("1" * 128 + "2" * 128)).hexdigest()
        value["subject"][0]["digest"]["sha256"] = root

    return edit


@pytest.mark.parametrize("hash_type", ["blake2b", "blake2"])
def test_blake2b_has_two_names_in_the_format(hash_type: str) -> None:
    manifest = verify_bundle(_resigned(_blake2(hash_type, "blake2b", "blake2")), KEY.public)
    assert (manifest.hash_name, dict(manifest.files)) == ("blake2b", {"a.py": "1" * 128, "weights (1).bin": "2" * 128})
    with pytest.raises(SignatureError, match="'weights \\(1\\).bin' is hashed with 'sha256'"):
        verify_bundle(_resigned(_blake2(hash_type, "blake2b", "sha256")), KEY.public)


def test_what_the_tool_may_leave_out_of_a_bundle_is_nothing_left_out() -> None:
    bundle = _resigned(lambda value: value["predicate"]["serialization"].__delitem__("ignore_paths"))
    assert verify_bundle(bundle, KEY.public).ignored == ()
    bundle = _edited(lambda value: value["verificationMaterial"].__delitem__("tlogEntries"))
    assert verify_bundle(bundle, KEY.public).files == FILES


def test_the_bundle_is_spelt_as_the_format_says() -> None:
    """Every key of it, so that the tool and later versions find what they look for."""
    value = json.loads(BUNDLE)
    assert BUNDLE == json.dumps(value, separators=(",", ":")).encode()
    payload = base64.b64decode(value["dsseEnvelope"].pop("payload"))
    assert base64.b64decode(value["dsseEnvelope"]["signatures"][0].pop("sig"))
    assert value == {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": hashlib.sha256(KEY.public.pem.encode()).hexdigest()}, "tlogEntries": []},
        "dsseEnvelope": {"payloadType": "application/vnd.in-toto+json", "signatures": [{"keyid": ""}]},
    }  # fmt: skip
    assert json.loads(payload) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": hashlib.sha256(bytes.fromhex("1" * 64 + "2" * 64)).hexdigest()}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": [".git"]},
            "resources": [{"name": path, "algorithm": "sha256", "digest": digest} for path, digest in FILES.items()],
        },
    }  # fmt: skip


@pytest.mark.parametrize("path", ["x" * 1020, "a\ue000.py", "a\u0080.py", "a\ud7ff", "a b", "...", "a/.b", "é.bin"])
def test_odd_names_of_weights_are_paths(path: str) -> None:
    assert check_model_path(path) == path


@pytest.mark.parametrize("path", ["x" * 1021, "a\x7f", "a\x1f", "a\ud800", "a\udfff", "", "/", "a/", "/a", ".", "..", "a/../b", "a\\b"])
def test_what_is_no_plain_path_is_never_signed(path: str) -> None:
    with pytest.raises(SignatureError, match="not a plain relative path"):
        make_bundle("model", FILES | {path: "1" * 64}, (), KEY)


def test_the_number_of_files_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oms, "MAX_MODEL_FILES", 2)
    verify_bundle(BUNDLE, KEY.public)
    monkeypatch.setattr(oms, "MAX_MODEL_FILES", 1)
    with pytest.raises(SignatureError, match=r"\] model signature: more than 1 files$"):
        verify_bundle(BUNDLE, KEY.public)


def test_a_bundle_without_hint_is_accepted_as_by_the_tool() -> None:
    verify_bundle(_edited(lambda value: value["verificationMaterial"].__setitem__("publicKey", {})), KEY.public)


def test_another_key_or_kind_of_key_is_refused() -> None:
    for key in (OTHER, generate("ecdsa-p384"), generate("ed25519")):
        with pytest.raises(SignatureError):
            verify_bundle(BUNDLE, key.public)
    with pytest.raises(SignatureError, match="ECDSA"):
        make_bundle("model", FILES, (), generate("ed25519"))
    with pytest.raises(SignatureError, match="names no file"):
        make_bundle("model", {}, (), KEY)


# --- certificate chains ---------------------------------------------------------------------------

ROOT = party("root", ca=True)
ISSUER = party("issuer", ROOT, ca=True)
LEAF = party("leaf", ISSUER, email="signer@example.org")


def _trust(*roots: Party, identity: str = "signer@example.org", later: timedelta = timedelta(0)) -> CertificateTrust:
    return CertificateTrust(roots=parse_certificates(b"".join(root.pem for root in roots)), identity=identity, now=NOW + later)


def test_a_chain_to_a_given_root_verifies_and_pins_its_subject() -> None:
    from cryptography.hazmat.primitives.hashes import SHA256

    bundle = chain_bundle(FILES, LEAF, ISSUER)
    for identity in ("signer@example.org", "leaf", "sha256:" + LEAF.certificate.fingerprint(SHA256()).hex()):
        assert verify_bundle(bundle, _trust(ROOT, identity=identity)).files == FILES
    verify_bundle(chain_bundle(FILES, LEAF, ISSUER, ROOT), _trust(ROOT))
    verify_bundle(chain_bundle(FILES, LEAF, ISSUER), _trust(party("another", ca=True), ROOT))


def _leaf(**changes: Any) -> bytes:
    return chain_bundle(FILES, party("leaf", ISSUER, **({"email": "signer@example.org"} | changes)), ISSUER)


def _under(**changes: Any) -> bytes:
    issuer = party("issuer", ROOT, **({"ca": True} | changes))
    return chain_bundle(FILES, party("leaf", issuer, email="signer@example.org"), issuer)


FAKE = party("root", ca=True)
SERVER = x509.ExtendedKeyUsage([Purpose.SERVER_AUTH])
OLD_ROOT = party("old", ca=True, start=timedelta(days=-9), end=timedelta(days=-1))
SHORT = party("issuer", ROOT, ca=True, length=0)
DEEP = party("deep", SHORT, ca=True)
LATER = timedelta(days=30)
BAD_CHAINS: dict[str, tuple[Callable[[], bytes], Callable[[], CertificateTrust]]] = {
    "no root given that it chains to": (lambda: chain_bundle(FILES, LEAF, ISSUER), lambda: _trust(party("x", ca=True))),
    "a root of the same name": (lambda: chain_bundle(FILES, LEAF, ISSUER), lambda: _trust(FAKE)),
    "its own root in the bundle": (lambda: chain_bundle(FILES, party("leaf", FAKE, email="signer@example.org"), FAKE), lambda: _trust(ROOT)),
    "a certificate that signed itself": (lambda: chain_bundle(FILES, party("leaf", email="signer@example.org")), lambda: _trust(ROOT)),
    "the issuer is missing": (lambda: chain_bundle(FILES, LEAF), lambda: _trust(ROOT)),
    "somebody else under the same root": (lambda: _leaf(email="eve@example.org"), lambda: _trust(ROOT)),
    "an identity that is a part": (lambda: _leaf(email="signer@example.org.evil.org"), lambda: _trust(ROOT)),
    "an identity in other letters": (lambda: _leaf(email="Signer@example.org"), lambda: _trust(ROOT)),
    "a name spelt like a fingerprint": (lambda: _leaf(email="", extra=x509.SubjectAlternativeName([x509.UniformResourceIdentifier("sha256:" + "0" * 64)])), lambda: _trust(ROOT, identity="sha256:" + "0" * 64)),
    "expired this second": (lambda: _leaf(end=timedelta(0)), lambda: _trust(ROOT)),
    "valid in a second": (lambda: _leaf(start=timedelta(seconds=1)), lambda: _trust(ROOT)),
    "expired": (lambda: _leaf(end=timedelta(hours=-1)), lambda: _trust(ROOT)),
    "expired since it was signed": (lambda: _leaf(), lambda: _trust(ROOT, later=LATER)),
    "not yet valid": (lambda: _leaf(start=timedelta(days=1)), lambda: _trust(ROOT)),
    "the issuer has expired": (lambda: _under(end=timedelta(hours=-1)), lambda: _trust(ROOT)),
    "the root has expired": (lambda: chain_bundle(FILES, party("leaf", OLD_ROOT, email="signer@example.org")), lambda: _trust(OLD_ROOT)),
    "not for signatures": (lambda: _leaf(usage=False), lambda: _trust(ROOT)),
    "for servers and not for code": (lambda: chain_bundle(FILES, party("leaf", ISSUER, email="signer@example.org", extra=SERVER), ISSUER), lambda: _trust(ROOT)),
    "an issuer for servers only": (lambda: _under(extra=SERVER), lambda: _trust(ROOT)),
    "an authority's own certificate": (lambda: chain_bundle(FILES, party("issuer", ROOT, ca=True, email="signer@example.org")), lambda: _trust(ROOT)),
    "an issuer that is no authority": (lambda: _under(ca=False), lambda: _trust(ROOT)),
    "an authority that may sign content": (lambda: _leaf(constraints=True), lambda: _trust(ROOT)),
    "an issuer that is no authority, but may sign certificates": (lambda: _under(constraints=False), lambda: _trust(ROOT)),
    "an issuer that does not say what it is": (lambda: _under(without=("constraints",)), lambda: _trust(ROOT)),
    "a certificate that does not say what it is for": (lambda: _leaf(without=("usage",)), lambda: _trust(ROOT)),
    "an issuer that may not sign certificates": (lambda: _under(usage=False), lambda: _trust(ROOT)),
    "longer than an issuer allows": (lambda: chain_bundle(FILES, party("leaf", DEEP, email="signer@example.org"), DEEP, SHORT), lambda: _trust(ROOT)),
    "a critical extension that nobody judged": (lambda: _leaf(extra=x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")), lambda: _trust(ROOT)),
    "a critical constraint on names": (lambda: _under(extra=x509.NameConstraints([x509.RFC822Name("example.org")], None)), lambda: _trust(ROOT)),
    "an empty chain": (lambda: chain_bundle(FILES, LEAF).replace(LEAF.signer.public.key_id.encode(), b"").replace(b'{"rawBytes":', b'{"x":'), lambda: _trust(ROOT)),
    "more certificates than any chain has": (lambda: chain_bundle(FILES, LEAF, *[ISSUER] * 16), lambda: _trust(ROOT)),
    "a plain key where a chain is wanted": (lambda: BUNDLE, lambda: _trust(ROOT)),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CHAINS)
def test_a_chain_that_proves_nothing_is_refused(case: str) -> None:
    make, trust = BAD_CHAINS[case]
    with pytest.raises(SignatureError):
        verify_bundle(make(), trust())


GOOD_CHAINS: dict[str, Callable[[], bytes]] = {
    "no issuer but the root": lambda: chain_bundle(FILES, party("leaf", ROOT, email="signer@example.org")),
    "as many certificates as there may be": lambda: chain_bundle(FILES, LEAF, ISSUER, *[party(f"other {n}", ROOT, ca=True) for n in range(14)]),
    "for code": lambda: _leaf(extra=x509.ExtendedKeyUsage([Purpose.CODE_SIGNING])),
    "for code and servers": lambda: _leaf(extra=x509.ExtendedKeyUsage([Purpose.SERVER_AUTH, Purpose.CODE_SIGNING])),
    "for anything": lambda: _leaf(extra=x509.ExtendedKeyUsage([Purpose.ANY_EXTENDED_KEY_USAGE])),
    "an issuer for code": lambda: _under(extra=x509.ExtendedKeyUsage([Purpose.CODE_SIGNING])),
    "no word about being an authority": lambda: _leaf(without=("constraints",)),
    "an issuer that may do all": lambda: _under(without=("usage",)),
    "a length that is kept": lambda: _under(length=0),
    "valid from this second": lambda: _leaf(start=timedelta(0)),
    "valid for one second more": lambda: _leaf(end=timedelta(seconds=1)),
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD_CHAINS)
def test_a_chain_is_refused_for_a_reason_only(case: str) -> None:
    assert verify_bundle(GOOD_CHAINS[case](), _trust(ROOT)).files == FILES


@pytest.mark.parametrize("identity", ["signer@example.org", "https://example.org/signer", "signer.example.org", "leaf"])
def test_each_kind_of_name_identifies(identity: str) -> None:
    """Also if the alternative names are critical, as they are without a subject."""
    names = [x509.RFC822Name("signer@example.org"), x509.UniformResourceIdentifier("https://example.org/signer"), x509.DNSName("signer.example.org")]
    bundle = chain_bundle(FILES, party("leaf", ISSUER, extra=x509.SubjectAlternativeName(names)), ISSUER)
    assert verify_bundle(bundle, _trust(ROOT, identity=identity)).files == FILES
    assert verify_bundle(chain_bundle(FILES, party("leaf", ISSUER), ISSUER), _trust(ROOT, identity="leaf")).files == FILES
    with pytest.raises(SignatureError, match="not of 'example.org'"):
        verify_bundle(bundle, _trust(ROOT, identity="example.org"))


def test_the_chain_that_is_signed_with_comes_back() -> None:
    """`make_bundle` with certificates, as the tool reads it (`interop.py`): the chain in DER, leaf first, and no hint."""
    made = json.loads(make_bundle("model", FILES, (), LEAF.signer, (LEAF.certificate, ISSUER.certificate)))
    assert made["verificationMaterial"] == {
        "x509CertificateChain": {"certificates": [{"rawBytes": base64.b64encode(item.der).decode()} for item in (LEAF, ISSUER)]},
        "tlogEntries": [],
    }
    manifest = verify_bundle(json.dumps(made).encode(), _trust(ROOT))
    assert (manifest.files, manifest.key) == (FILES, LEAF.signer.public)
    with pytest.raises(SignatureError, match="the first certificate is of another key"):
        make_bundle("model", FILES, (), LEAF.signer, (ISSUER.certificate, LEAF.certificate))


def test_the_number_and_size_of_certificates_are_bounded() -> None:
    assert len(parse_certificates(ROOT.pem * MAX_CERTIFICATES)) == MAX_CERTIFICATES
    with pytest.raises(SignatureError, match=r"\] certificate: 1 to 16 certificates, not 17$"):
        parse_certificates(ROOT.pem * (MAX_CERTIFICATES + 1))
    with pytest.raises(SignatureError, match=r"\] certificate: 1 to 16 certificates, not 17$"):
        verify_bundle(chain_bundle(FILES, LEAF, *[ISSUER] * MAX_CERTIFICATES), _trust(ROOT))
    padded = ROOT.pem.rjust(MAX_CERTIFICATES * MAX_KEY_BYTES, b"\n")
    assert parse_certificates(padded) == (ROOT.certificate,)
    with pytest.raises(SignatureError, match=r"\] certificate: too large$"):
        parse_certificates(b"\n" + padded)


def test_a_chain_does_not_pass_for_a_key_and_trust_is_never_empty() -> None:
    with pytest.raises(SignatureError):
        verify_bundle(chain_bundle(FILES, LEAF, ISSUER), LEAF.signer.public)
    for data in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(SignatureError):
            parse_certificates(data)
    with pytest.raises(SignatureError, match="explicit roots"):
        CertificateTrust(roots=(), identity="x", now=NOW)
    with pytest.raises(SignatureError, match="explicit roots"):
        _trust(ROOT, identity="")


# --- the tree, through the command line -----------------------------------------------------------


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `model` with `model.sig` in it, made by `sign --oms`."""
    monkeypatch.chdir(tmp_path)
    assert run("keygen", "key", "--no-password", "--algorithm", "ecdsa-p256").exit_code == 0
    model = tmp_path / "model"
    (model / "sub").mkdir(parents=True)
    for path, text in {"modeling_x.py": "class X: pass\n", "config.json": "{}", "sub/weights.bin": "w" * 5000, ".gitattributes": "x"}.items():
        (model / path).write_text(text)
    result = run("sign", "model", "--oms", "--key", "key", "--signature", "model/model.sig")
    assert result.stdout.startswith("signed: 3 files")
    return model


def _verify(*more: str) -> tuple[int, str]:
    result = run("verify", "model", "--signature", "model/model.sig", "--key", "key.pub", *more)
    return result.exit_code, result.output


def test_a_signed_tree_verifies(signed: Path) -> None:
    assert _verify("--full")[0] == 0
    code, output = _verify()
    assert (code, "1 files of code" in output) == (0, True)


def _write(path: str, text: str = "import os\n") -> Callable[[Path], object]:
    def act(model: Path) -> None:
        (model / path).parent.mkdir(parents=True, exist_ok=True)
        (model / path).write_text(text)

    return act


def _link(path: str, target: str) -> Callable[[Path], object]:
    def act(model: Path) -> None:
        (model / path).unlink(missing_ok=True)
        (model / path).symlink_to(target)

    return act


#: What is done to the tree; whether code alone shows it.
TAMPERED: dict[str, tuple[Callable[[Path], object], bool]] = {
    "code is changed": (_write("modeling_x.py"), True),
    "code is removed": (lambda model: (model / "modeling_x.py").unlink(), True),
    "code is added": (_write("helper.py"), True),
    "code is added in a folder": (_write("sub/helper.py"), True),
    "code is added in a hidden folder": (_write(".cache/helper.py"), True),
    "code is added among the Hub's notes": (_write(".cache/huggingface/helper.py"), True),
    "bytecode is added": (_write("__pycache__/modeling_x.cpython-311.pyc"), True),
    "native code is added": (_write("fast.so"), True),
    "native code with a version is added": (_write("libfast.so.1"), True),
    "code is added in other letters": (_write("Helper.PY"), True),
    "code is another file's content": (_link("modeling_x.py", "config.json"), True),
    "weights are changed": (_write("sub/weights.bin", "v" * 5000), False),
    "weights are longer": (_write("sub/weights.bin", "w" * 5001), False),
    "weights are removed": (lambda model: (model / "sub/weights.bin").unlink(), False),
    "a file is added": (_write("tokenizer.json"), False),
    "files are exchanged": (lambda model: (os.rename(model / "config.json", model / "x"), os.rename(model / "sub/weights.bin", model / "config.json"), os.rename(model / "x", model / "sub/weights.bin")), False),
    "a link leads out": (_link("config.json", "/etc/hostname"), True),
    "a link to a folder": (_link("linked", "sub"), True),
    "a pipe": (lambda model: os.mkfifo(model / "pipe"), True),
}  # fmt: skip


@pytest.mark.parametrize("case", TAMPERED)
def test_a_changed_tree_is_refused(case: str, signed: Path) -> None:
    act, seen_in_code = TAMPERED[case]
    act(signed)
    assert _verify("--full")[0] == 1
    assert _verify()[0] == (1 if seen_in_code else 0)


def test_what_the_signer_leaves_out_never_hides_code(signed: Path) -> None:
    key = run("keygen", "k2", "--no-password", "--algorithm", "ecdsa-p256")
    assert key.exit_code == 0
    from safe_remote_code.signing.key_files import load_private

    files = {path: hashlib.sha256((signed / path).read_bytes()).hexdigest() for path in ("modeling_x.py", "config.json", "sub/weights.bin")}
    (signed / "model.sig").write_bytes(make_bundle("model", files, ("notes", "plugins", ".", "", "/"), load_private("k2")))
    (signed / "notes").mkdir()
    (signed / "notes" / "read.me").write_text("x")
    result = run("verify", "model", "--signature", "model/model.sig", "--key", "k2.pub", "--full")
    assert (result.exit_code, "not covered by the signature, and not code: notes/read.me" in result.output) == (0, True)
    (signed / "notes" / "evil.py").write_text("x")
    result = run("verify", "model", "--signature", "model/model.sig", "--key", "k2.pub", "--full")
    assert (result.exit_code, "not signed: notes/evil.py" in result.output) == (1, True)
    (signed / "notes" / "evil.py").unlink()
    (signed / "loose.txt").write_text("x")
    result = run("verify", "model", "--signature", "model/model.sig", "--key", "k2.pub", "--full")
    assert result.exit_code == 1, "a `.` in ignore_paths leaves nothing out"


def test_a_tree_without_code_is_no_proof_about_code(signed: Path) -> None:
    (signed / "modeling_x.py").unlink()
    assert run("sign", "model", "--oms", "--key", "key", "--signature", "model/model.sig").exit_code == 0
    assert _verify()[0] == 1
    assert _verify("--full")[0] == 0


def test_code_in_gits_own_folder_cannot_be_named_by_a_class_reference(signed: Path) -> None:
    """Why it may lie there unread, as the tool lets it."""
    from safe_remote_code.reference import check_path

    _write(".git/evil.py")(signed)
    assert _verify("--full")[0] == 0
    for path in (".git/evil.py", ".github/evil.py", ".gitignore/evil.py"):
        with pytest.raises(RefusedError):
            check_path(path)


def test_links_of_a_hub_cache_are_verified_by_content(signed: Path, tmp_path: Path) -> None:
    """A snapshot folder is all links into `blobs/`; the tool refuses it without --allow_symlinks."""
    snapshot = tmp_path / "models--o--m" / "snapshots" / ("a" * 40)
    blobs = tmp_path / "models--o--m" / "blobs"
    blobs.mkdir(parents=True)
    for path in ("modeling_x.py", "config.json", "sub/weights.bin"):
        data = (signed / path).read_bytes()
        (blobs / hashlib.sha256(data).hexdigest()).write_bytes(data)
        (snapshot / path).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / path).symlink_to(blobs / hashlib.sha256(data).hexdigest())
    arguments = ("verify", snapshot, "--signature", "model/model.sig", "--key", "key.pub", "--full")
    assert run(*arguments).exit_code == 0
    (snapshot / "modeling_x.py").resolve().write_text("import os\n")
    assert run(*arguments).exit_code == 1, "the blob still has the name of its old content"


def test_what_was_signed_in_gits_own_folder_is_read(signed: Path) -> None:
    """The tool's --no-ignore-git-paths."""
    from safe_remote_code.signing.key_files import load_private

    assert run("keygen", "k3", "--no-password", "--algorithm", "ecdsa-p256").exit_code == 0
    (signed / ".github" / "deep").mkdir(parents=True)
    for path in (".github/deep/a.yml", ".github/b.py"):
        (signed / path).write_text("x")
    paths = ("modeling_x.py", "config.json", "sub/weights.bin", ".github/deep/a.yml", ".github/b.py")
    files = {path: hashlib.sha256((signed / path).read_bytes()).hexdigest() for path in paths}
    (signed / "model.sig").write_bytes(make_bundle("model", files, (), load_private("k3")))
    arguments = ("verify", "model", "--signature", "model/model.sig", "--key", "k3.pub")
    assert run(*arguments, "--full").exit_code == 0
    (signed / ".github" / "b.py").write_text("y")
    for more in ((), ("--full",)):
        result = run(*arguments, *more)
        assert (result.exit_code, "changed: .github/b.py" in result.output) == (1, True)


def _manifest(*ignored: str, **files: str) -> ModelManifest:
    return ModelManifest(files=files or {"a.py": "1" * 64}, hash_name="sha256", ignored=ignored, key=KEY.public)


LEFT_OUT = {
    "notes": ("notes", True),
    "notes/": ("notes/", True),
    "notes//": ("notes//", True),
    "the file itself": ("notes/x.txt", True),
    "a name that begins alike": ("note", False),
    "a name that goes on": ("notes/x", False),
    "a name with a letter more": ("notesX", False),
    "a name in other letters": ("Notes", False),
    "an absolute name": ("/notes", False),
    "a dot": (".", False),
    "two dots": ("..", False),
    "a slash": ("/", False),
    "nothing": ("", False),
    "a space": (" ", False),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_is_named_exactly(case: str) -> None:
    name, left_out = LEFT_OUT[case]
    present, digests = {"a.py", "notes/x.txt"}, {"a.py": "1" * 64}

    def check(*ignored: str) -> tuple[str, ...]:
        return check_signed(_manifest(*ignored), present, digests, signature=None, subject="model", code_only=False)

    if left_out:
        assert check(name) == check("other", name) == ("notes/x.txt",)
        return
    with pytest.raises(DigestMismatchError, match=r"^\[digest-mismatch\] model: not signed: notes/x.txt\n  To continue: restore"):
        check(name)


SKIPPED = {
    ".git": ((), True),
    ".git/config": ((), True),
    ".gitignore": ((), True),
    ".gitattributes": ((), True),
    ".github/workflows/x.yml": ((), True),
    "sub/.git": ((), False),
    "sub/.git/config": ((), False),
    ".gitmodules": ((), False),
    "git": ((), False),
    ".github": ((".github/a/b.yml",), False),
    ".github/other.yml": ((".github/a/b.yml",), False),
    ".git/index": ((".github/a/b.yml", "x/.git/y"), True),
}


@pytest.mark.parametrize("path", SKIPPED)
def test_gits_own_is_skipped_at_the_top_only_and_not_if_something_there_was_signed(path: str) -> None:
    signed, expected = SKIPPED[path]
    assert skipped(path, signed) is expected


@pytest.mark.parametrize(("count", "more"), [(20, ""), (21, " and 1 more"), (25, " and 5 more")])
def test_a_refusal_names_the_first_files_of_each_kind(count: int, more: str) -> None:
    names = [f"f{number:02}" for number in range(count)]
    differences = Differences(changed=names[::-1], missing=["b", "a"], unsigned=["c"])
    with pytest.raises(DigestMismatchError) as refused:
        differences.refuse("model")
    assert str(refused.value) == (
        f"[digest-mismatch] model: changed: {', '.join(names[:20])}{more}; missing: a, b; not signed: c\n"
        "  To continue: restore the files, or ask who signed them"
    )
    with pytest.raises(DigestMismatchError, match=r"model: missing: a\n"):
        Differences(missing=["a"]).refuse("model")
    Differences().refuse("model")


def test_with_code_alone_nothing_else_is_judged() -> None:
    manifest = _manifest("notes", **{"a.py": "1" * 64, "w.bin": "2" * 64})
    present = {"a.py", "x.bin", "notes/y"}

    def check(**given: Any) -> tuple[str, ...]:
        usual: dict[str, Any] = {"present": present, "digests": {"a.py": "1" * 64}, "signature": None, "subject": "model", "code_only": True}
        return check_signed(manifest, **(usual | given))

    assert check() == ()
    assert check(present=present | {"b.py"}, signature="b.py") == (), "the signature itself, whatever it is called"
    for given in ({"present": present | {"b.py"}}, {"present": {"x.bin"}}, {"digests": {}}, {"digests": {"a.py": "2" * 64}}, {"code_only": False}):
        with pytest.raises(DigestMismatchError):
            check(**given)


@pytest.mark.parametrize("suffix", [".py", ".pyc", ".pyo", ".pyw", ".pyi", ".pyx", ".pth", ".so", ".pyd", ".dylib", ".dll", ".egg", ".whl", ".so.1", ".SO.2", ".Py"])
def test_what_an_import_system_takes_is_code(suffix: str) -> None:
    assert is_code(f"sub/x{suffix}")


@pytest.mark.parametrize("path", ["x.bin", "py", "x.py/y", "x.python", "so", "x.so/y", "x.sock", "x.txt"])
def test_other_files_are_not_code(path: str) -> None:
    assert not is_code(path)


def test_a_name_vouches_for_content_in_a_hub_cache_only() -> None:
    places = {"a": f"/c/blobs/{'a' * 64}", "b": f"/c/blobs/{'b' * 40}", "c": f"/c/files/{'c' * 64}", "d": "/c/blobs/d.bin", "e": f"/c/blobs/{'e' * 41}"}
    assert named_digests(places) == {"a": ("sha256", "a" * 64), "b": ("git", "b" * 40)}
