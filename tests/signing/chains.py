"""Certificate chains for tests: good ones, and each kind of bad one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from safe_remote_code.signing.keys import PrivateKey, parse_private
from safe_remote_code.signing.oms import make_bundle
from safe_remote_code.signing.strict_json import to_base64

NOW = datetime.fromisoformat("2026-11-23T12:00:00+00:00")


@final
@dataclass(frozen=True)
class Party:
    """A key with its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        none = serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none)

    @property
    def signer(self) -> PrivateKey:
        return parse_private(self.key_pem)


def party(
    name: str, issuer: Party | None = None, *, ca: bool = False, email: str = "", start: timedelta = timedelta(days=-1),
    end: timedelta = timedelta(days=9), usage: bool = True, length: int | None = None, extra: Any = None, now: datetime = NOW,
    constraints: bool | None = None, without: tuple[str, ...] = (),
) -> Party:  # fmt: skip
    """A certificate of `name`. `constraints` says of an authority that it is none, or the other way round, in the basic
    constraints alone; `without` leaves extensions out.
    """
    authority = ca if constraints is None else constraints
    given = {
        "constraints": x509.BasicConstraints(authority, length if authority else None),
        "usage": x509.KeyUsage(usage and not ca, False, False, False, False, usage and ca, ca, False, False),
    }
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder().subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now + start).not_valid_after(now + end)
    )  # fmt: skip
    for kind, value in given.items():
        if kind not in without:
            builder = builder.add_extension(value, critical=True)
    if email:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(email)]), critical=False)
    if extra is not None:
        builder = builder.add_extension(extra, critical=True)
    return Party(key, builder.sign(issuer.key if issuer else key, hashes.SHA256()))


def chain_bundle(files: dict[str, str], leaf: Party, *others: Party) -> bytes:
    """A bundle as `model_signing sign certificate` makes it."""
    value = json.loads(make_bundle("model", files, (), leaf.signer))
    chain = [{"rawBytes": to_base64(item.der)} for item in (leaf, *others)]
    value["verificationMaterial"] = {"x509CertificateChain": {"certificates": chain}, "tlogEntries": []}
    return json.dumps(value).encode()
