"""X.509 chains of signing certificates: to explicit roots, valid now, of a pinned subject.

Guarantee: the key that comes back belongs to a certificate that

1. chains to one of the roots that the *user* gave: no system store, nothing from the bundle is a root;
2. is valid, as is each of its issuers, at the time the caller gives, not at a time that the signer chose;
3. is meant for signatures: an end entity with the digitalSignature usage, issued by certificate authorities, and where
   extended usages are named, in it or an issuer, code signing is one;
4. is the pinned one: its fingerprint, or a name in its subject or alternative names, is what the user expects.

It does not: ask for revocation (no CRL, no OCSP). Use short-lived certificates, or pin the fingerprint.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ..errors import SignatureError
from ..limits import MAX_CERTIFICATES, MAX_KEY_BYTES
from .keys import PublicKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography.x509 import Certificate

_SUBJECT: Final = "certificate"
_FINGERPRINT: Final = re.compile(r"sha256:[0-9a-f]{64}")


def parse_certificates(data: bytes) -> tuple[Certificate, ...]:
    """The certificates in the PEM text `data`.

    Raises:
        SignatureError: none, too many, or malformed.
    """
    from cryptography.x509 import load_pem_x509_certificates

    if len(data) > MAX_KEY_BYTES * MAX_CERTIFICATES:
        raise SignatureError("too large", subject=_SUBJECT)
    try:
        found = tuple(load_pem_x509_certificates(data))
    except ValueError as error:
        raise SignatureError(f"not certificates in PEM: {error}", subject=_SUBJECT) from None
    if not 1 <= len(found) <= MAX_CERTIFICATES:
        raise SignatureError(f"1 to {MAX_CERTIFICATES} certificates, not {len(found)}", subject=_SUBJECT)
    return found


def certified_key(chain: Sequence[bytes], roots: Sequence[Certificate], identity: str, now: datetime) -> PublicKey:
    """The key of the first certificate of `chain` (DER), proven to belong to `identity` at `now`.

    `identity` is `sha256:` and the fingerprint of the certificate, or its e-mail address, URI, DNS name or
    common name, exactly.

    Raises:
        SignatureError: the proof fails.
    """
    if not 1 <= len(chain) <= MAX_CERTIFICATES:
        raise SignatureError(f"1 to {MAX_CERTIFICATES} certificates, not {len(chain)}", subject=_SUBJECT)
    leaf, *issuers = (_load(der) for der in chain)
    _check_chain(leaf, issuers, roots, now)  # 1, 2, 3
    if identity not in _identities(leaf):  # 4
        raise SignatureError(f"of {', '.join(sorted(_identities(leaf)))[:300]}, not of {identity!r:.120}",
                             subject=_SUBJECT)  # fmt: skip
    return _key(leaf)


def chain_of(chain: Sequence[Certificate], key: PublicKey) -> list[bytes]:
    """`chain` in DER, if its first certificate is that of `key`.

    Raises:
        SignatureError: it is another key's.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    if _key(chain[0]) != key:
        raise SignatureError("the first certificate is of another key", subject=_SUBJECT,
                             remedy="give the certificate of the signing key first, then its issuers")  # fmt: skip
    return [certificate.public_bytes(Encoding.DER) for certificate in chain]


def _key(certificate: Certificate) -> PublicKey:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return PublicKey(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _load(der: bytes) -> Certificate:
    from cryptography.x509 import load_der_x509_certificate

    try:
        return load_der_x509_certificate(der)
    except (ValueError, TypeError) as error:
        raise SignatureError(f"malformed: {error}", subject=_SUBJECT) from None


def _check_chain(leaf: Certificate, issuers: list[Certificate], roots: Sequence[Certificate], now: datetime) -> None:
    from cryptography.x509 import BasicConstraints, ExtendedKeyUsage, KeyUsage
    from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

    authority = (
        ExtensionPolicy.permit_all()
        .require_present(BasicConstraints, Criticality.AGNOSTIC, _check_authority)
        .may_be_present(KeyUsage, Criticality.AGNOSTIC, _check_authority_usage)
        .may_be_present(ExtendedKeyUsage, Criticality.AGNOSTIC, _check_purpose)
    )
    entity = (
        ExtensionPolicy.permit_all()
        .may_be_present(BasicConstraints, Criticality.AGNOSTIC, _check_entity)
        .require_present(KeyUsage, Criticality.AGNOSTIC, _check_entity_usage)
        .may_be_present(ExtendedKeyUsage, Criticality.AGNOSTIC, _check_purpose)
    )
    builder = PolicyBuilder().store(Store(list(roots))).time(now.replace(tzinfo=None))
    verifier = builder.extension_policies(ca_policy=authority, ee_policy=entity).build_client_verifier()
    try:
        chain = verifier.verify(leaf, issuers).chain
    except (VerificationError, ValueError) as error:
        raise SignatureError(f"does not chain to a given root: {error}", subject=_SUBJECT,
                             remedy="give its root with --certificate-root") from None  # fmt: skip
    for certificate in chain:
        # The verifier trusts a root whatever its dates are; we do not.
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            raise SignatureError("expired or not yet valid, or one of its issuers is", subject=_SUBJECT)
        _check_critical(certificate)


def _check_critical(certificate: Certificate) -> None:
    """An extension that is critical and that we do not judge may forbid this very use (RFC 5280, section 4.2)."""
    from cryptography import x509

    judged = (x509.BasicConstraints, x509.KeyUsage, x509.SubjectAlternativeName, x509.ExtendedKeyUsage)
    for extension in certificate.extensions:
        if extension.critical and not isinstance(extension.value, judged):
            raise SignatureError(f"a critical extension that is not judged here: {extension.oid.dotted_string}",
                                 subject=_SUBJECT)  # fmt: skip


def _check_authority(_policy: Any, _certificate: Any, value: Any) -> None:
    if not value.ca:
        raise ValueError("an issuer is not a certificate authority")


def _check_authority_usage(_policy: Any, _certificate: Any, value: Any) -> None:
    if value is not None and not value.key_cert_sign:
        raise ValueError("an issuer may not sign certificates")


def _check_entity(_policy: Any, _certificate: Any, value: Any) -> None:
    if value is not None and value.ca:
        raise ValueError("the signing certificate is an authority's")


def _check_entity_usage(_policy: Any, _certificate: Any, value: Any) -> None:
    if not value.digital_signature:
        raise ValueError("the certificate is not for signatures")


def _check_purpose(_policy: Any, _certificate: Any, value: Any) -> None:
    from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

    if value is not None and not {Purpose.CODE_SIGNING, Purpose.ANY_EXTENDED_KEY_USAGE} & set(value):
        raise ValueError("the certificate is for other purposes than signing code")


def _identities(certificate: Certificate) -> set[str]:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    found = {f"sha256:{certificate.fingerprint(SHA256()).hex()}"}
    names = [attribute.value for attribute in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        pass
    else:
        for kind in (x509.RFC822Name, x509.UniformResourceIdentifier, x509.DNSName):
            names += alternative.get_values_for_type(kind)
    # A name that is spelt like a fingerprint is not one.
    return found | {str(name) for name in names if not _FINGERPRINT.fullmatch(str(name))}
