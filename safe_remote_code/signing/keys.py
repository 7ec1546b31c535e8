"""Keys: one value for a public key, whatever file it came from; private keys, guarded on disk.

Guarantee: two `PublicKey` are equal exactly if they are the same key, because the value holds the one
canonical encoding (SubjectPublicKeyInfo, DER) of an accepted algorithm. A threshold counts these
values, never names or claimed key ids.

Rules: the algorithm belongs to the key and is never read from a signature or an envelope. Accepted are
Ed25519 (RFC 8032), ECDSA on P-256, P-384 and P-521 with the hash of the same strength (FIPS 186-5), and
RSA PKCS #1 v1.5 with SHA-512 for SSH signatures (RFC 8332), of at least 2048 bits.

It does not: say who owns a key, or whether it is trusted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, final

from ..errors import SignatureError
from ..limits import MAX_KEY_BYTES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    _Public = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    _Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

Algorithm = Literal["ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa"]
#: What `generate` makes.
GENERATED: Final = ("ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521")
_CURVES: Final[dict[str, Algorithm]] = {
    "secp256r1": "ecdsa-p256", "secp384r1": "ecdsa-p384", "secp521r1": "ecdsa-p521",
}  # fmt: skip
_MIN_RSA_BITS: Final = 2048
_MAX_RSA_BITS: Final = 8192
_FIELD_PRIME: Final = 2**255 - 19
#: y-coordinates of the eight points of small order of Curve25519 (RFC 7748, section 6.1, and "Taming the many EdDSAs",
#: 2020): for such a "public key" anybody can make a signature of any message.
_SMALL_ORDER_Y: Final = frozenset(
    [
        0,
        1,
        _FIELD_PRIME - 1,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    ]
)


def _public_formats() -> tuple[Any, Any]:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return Encoding, PublicFormat


def _der(key: _Public) -> bytes:
    encoding, form = _public_formats()
    return key.public_bytes(encoding.DER, form.SubjectPublicKeyInfo)


def _algorithm(key: object) -> Algorithm:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PublicKey):
        encoding, form = _public_formats()
        _check_ed25519(key.public_bytes(encoding.Raw, form.Raw))
        return "ed25519"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, rsa.RSAPublicKey) and _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
        return "rsa"
    raise SignatureError("a key of an algorithm, curve or size that is not accepted",
                         remedy="use Ed25519, ECDSA P-256, P-384 or P-521, or RSA of 2048 bits and more")  # fmt: skip


def _check_ed25519(raw: bytes) -> None:
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    if y >= _FIELD_PRIME:
        raise SignatureError("an Ed25519 key that is not in its canonical encoding")
    if y in _SMALL_ORDER_Y:
        raise SignatureError("an Ed25519 key of small order, for which anybody can sign")


def _load_der(der: bytes) -> _Public:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureError(f"not a public key: {error}") from None
    _algorithm(key)
    return key  # type: ignore[return-value]  # _algorithm has refused all other kinds


@final
@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key. `der` is its canonical SubjectPublicKeyInfo; all else is a function of it."""

    der: bytes = field(repr=False)
    algorithm: Algorithm = field(init=False)
    #: 64 hex digits: SHA-256 of `der`.
    key_id: str = field(init=False)

    def __post_init__(self) -> None:
        key = _load_der(self.der)
        if _der(key) != self.der:
            raise SignatureError("a public key that is not in its canonical encoding")
        object.__setattr__(self, "algorithm", _algorithm(key))
        object.__setattr__(self, "key_id", hashlib.sha256(self.der).hexdigest())

    @property
    def pem(self) -> str:
        """The key as PEM text, with a newline at its end."""
        encoding, form = _public_formats()
        text: bytes = _load_der(self.der).public_bytes(encoding.PEM, form.SubjectPublicKeyInfo)
        return text.decode("ascii")

    def check(self, signature: bytes, data: bytes) -> None:
        """Return if `signature` is one of `data` by this key.

        RSA signatures are of the one kind that SSH makes (SHA-512).

        Raises:
            SignatureError: it is not, or it is not in its one strict encoding.
        """
        from cryptography.exceptions import InvalidSignature

        key: Any = _load_der(self.der)
        try:
            if self.algorithm == "ed25519":
                key.verify(signature, data)
            elif self.algorithm == "rsa":
                key.verify(signature, data, *_rsa_scheme())
            else:
                check_strict_ecdsa(signature)
                key.verify(signature, data, _ecdsa_scheme(self.algorithm))
        except (InvalidSignature, ValueError, TypeError, OverflowError):
            raise SignatureError("not a signature of this content by this key", subject=self.key_id) from None


def check_strict_ecdsa(signature: bytes) -> None:
    """Return if `signature` is DER, in its one spelling.

    Raises:
        SignatureError: BER, trailing bytes, padded or negative integers.
    """
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

    try:
        r, s = decode_dss_signature(signature)
        strict = r > 0 and s > 0 and encode_dss_signature(r, s) == signature
    except (ValueError, OverflowError):
        strict = False
    if not strict:
        raise SignatureError("an ECDSA signature that is not strict DER")


def _ecdsa_scheme(algorithm: Algorithm) -> ec.ECDSA:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    by_algorithm: dict[str, hashes.HashAlgorithm] = {
        "ecdsa-p256": hashes.SHA256(), "ecdsa-p384": hashes.SHA384(), "ecdsa-p521": hashes.SHA512(),
    }  # fmt: skip
    return ec.ECDSA(by_algorithm[algorithm])


def _rsa_scheme() -> tuple[Any, Any]:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    return padding.PKCS1v15(), hashes.SHA512()


@final
class PrivateKey:
    """A key that signs. Its `repr` and pickles hold nothing of it."""

    __slots__ = ("_key", "public")

    def __init__(self, key: _Private) -> None:
        self._key = key
        self.public = PublicKey(_der(key.public_key()))

    def __reduce__(self) -> str:
        raise TypeError("a private key is not copied or pickled")

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`: 64 bytes for Ed25519, DER for ECDSA."""
        key: Any = self._key
        if self.public.algorithm == "ed25519":
            signature: bytes = key.sign(data)
            return signature
        signature = key.sign(data, _ecdsa_scheme(self.public.algorithm))
        return signature

    def pem(self, password: bytes | None) -> bytes:
        """PKCS #8 PEM, encrypted under `password` (PBES2) unless it is None.

        Raises:
            ValueError: an empty password.
        """
        from cryptography.hazmat.primitives import serialization

        none, best = serialization.NoEncryption, serialization.BestAvailableEncryption
        encryption = none() if password is None else best(password)
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def generate(algorithm: str = "ed25519") -> PrivateKey:
    """A new key of `algorithm`, one of `GENERATED`.

    Raises:
        ValueError: another algorithm.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    curves: dict[str, type[ec.EllipticCurve]] = {
        "ecdsa-p256": ec.SECP256R1, "ecdsa-p384": ec.SECP384R1, "ecdsa-p521": ec.SECP521R1,
    }  # fmt: skip
    if algorithm == "ed25519":
        return PrivateKey(ed25519.Ed25519PrivateKey.generate())
    if algorithm not in curves:
        raise ValueError(f"unknown algorithm {algorithm!r}; known: {', '.join(GENERATED)}")
    return PrivateKey(ec.generate_private_key(curves[algorithm]()))


def parse_public(text: str) -> PublicKey:
    """The key in `text`: SubjectPublicKeyInfo PEM, or one OpenSSH line (`ssh-ed25519 AAAA... comment`).

    Other encodings of a key (a compressed point) are brought to the canonical one.

    Raises:
        SignatureError: neither, or more than one key, or a key that is not accepted.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    data = text.strip().encode("utf-8")
    if len(data) > MAX_KEY_BYTES:
        raise SignatureError(f"a key file of over {MAX_KEY_BYTES} bytes")
    try:
        if data.startswith(b"-----BEGIN PUBLIC KEY-----"):
            if data.count(b"-----BEGIN") != 1:
                raise SignatureError("several keys in one text; a threshold counts keys, so each has its own entry")
            key: Any = serialization.load_pem_public_key(data)
        elif data.startswith((b"ssh-ed25519 ", b"ecdsa-sha2-nistp", b"ssh-rsa ")) and b"\n" not in data:
            key = serialization.load_ssh_public_key(data)
        else:
            raise SignatureError("neither a PEM public key nor an OpenSSH one",
                                 remedy="give the .pub file that keygen or ssh-keygen wrote")  # fmt: skip
        _algorithm(key)
        return PublicKey(_der(key))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureError(f"not a public key: {error}") from None


def parse_private(data: bytes, password: bytes | None = None) -> PrivateKey:
    """The private key in the PEM text `data`.

    Raises:
        SignatureError: no such key, a wrong or missing password, or an algorithm that is not accepted.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if len(data) > MAX_KEY_BYTES:
        raise SignatureError(f"a key file of over {MAX_KEY_BYTES} bytes")
    try:
        key = load_pem_private_key(data, password)
    except TypeError:
        needed = "the key is encrypted: a password is needed" if password is None else "the key has no password"
        raise SignatureError(needed) from None
    except (ValueError, UnsupportedAlgorithm):
        raise SignatureError("not a private key in PEM, or the password is wrong") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise SignatureError("this kind of key cannot sign here", remedy="use Ed25519 or ECDSA; see keygen")
    return PrivateKey(key)
