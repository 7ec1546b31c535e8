"""Signatures that were kept: every later version must go on to verify them.

`fixtures/signatures/bundles/`: over `model/`, by this package and by model_signing 1.1.1; an approval of the package
of `approvals.py`, in an envelope and by ssh-keygen. Their private keys were thrown away.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from safe_remote_code.fetch.tree import hash_files, list_tree
from safe_remote_code.signing import dsse
from safe_remote_code.signing.approval import parse_approval
from safe_remote_code.signing.certificates import parse_certificates
from safe_remote_code.signing.key_files import load_public
from safe_remote_code.signing.oms import CertificateTrust, verify_bundle
from safe_remote_code.signing.ssh import verify_ssh
from safe_remote_code.signing.statements import PAYLOAD_TYPE
from safe_remote_code.verify.model_tree import check_signed
from signing.approvals import approval

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "signatures"
BUNDLES = FOLDER / "bundles"
AT = datetime(2026, 12, 1, tzinfo=UTC)
CURVES = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521")


@pytest.mark.parametrize("maker", ["", ".model_signing"])
@pytest.mark.parametrize("curve", CURVES)
def test_a_kept_bundle_verifies_its_model(curve: str, maker: str) -> None:
    manifest = verify_bundle((BUNDLES / f"{curve}{maker}.sig").read_bytes(), load_public(BUNDLES / f"{curve}.pub"))
    files = list_tree(str(FOLDER / "model"))
    digests = hash_files(files)
    assert digests == manifest.files
    assert check_signed(manifest, set(digests), digests, signature=None, subject="x", code_only=False) == ()


def test_a_kept_chain_verifies_at_its_time() -> None:
    roots = parse_certificates((BUNDLES / "chain.root.pem").read_bytes())
    for identity in ("signer@example.org", "Golden signer"):
        trust = CertificateTrust(roots=roots, identity=identity, now=AT)
        manifest = verify_bundle((BUNDLES / "chain.model_signing.sig").read_bytes(), trust)
        assert manifest.files == hash_files(list_tree(str(FOLDER / "model")))


def test_a_kept_approval_says_what_it_said() -> None:
    key = load_public(BUNDLES / "approval.pub")
    assert parse_approval(dsse.verify((BUNDLES / "approval.json").read_bytes(), PAYLOAD_TYPE, [key]).payload) == approval()
    key = load_public(BUNDLES / "approval.ssh.pub")
    statement = (BUNDLES / "approval.statement.json").read_bytes()
    signature = (BUNDLES / "approval.statement.json.sig").read_text()
    assert parse_approval(verify_ssh(signature, statement, [key]).payload) == approval()
    assert approval().payload() == statement, "the canonical bytes have not changed"
