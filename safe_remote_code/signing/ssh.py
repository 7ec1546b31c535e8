"""SSH signatures, as `ssh-keygen -Y sign` makes them with the keys that people have (OpenSSH, PROTOCOL.sshsig).

Guarantee: `verify_ssh` returns only if the signature is by one of the trusted keys, made for our namespace
and of these very bytes. The key inside the signature is compared with the trusted ones, never believed.

Accepted are ssh-ed25519, ecdsa-sha2-nistp256, -nistp384, -nistp521, and rsa-sha2-512 (not ssh-rsa, which is
SHA-1; RFC 8332). It does not: speak to agents, read `allowed_signers`, or know hardware (`sk-`) keys.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from ..errors import SignatureError
from ..limits import MAX_KEY_BYTES
from .dsse import Verified, check_threshold
from .keys import PublicKey, parse_public
from .strict_json import from_base64

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What `ssh-keygen -Y sign -n` is given, so that a signature made for git or e-mail says nothing here.
NAMESPACE: Final = "safe-remote-code"
_MAGIC: Final = b"SSHSIG"
_BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
_END: Final = "-----END SSH SIGNATURE-----"
_SUBJECT: Final = "SSH signature"
_HASHES: Final = ("sha256", "sha512")
#: The one name of the signature algorithm that each kind of key may claim.
_ALGORITHMS: Final = {
    "ed25519": b"ssh-ed25519",
    "ecdsa-p256": b"ecdsa-sha2-nistp256",
    "ecdsa-p384": b"ecdsa-sha2-nistp384",
    "ecdsa-p521": b"ecdsa-sha2-nistp521",
    "rsa": b"rsa-sha2-512",
}


@final
class _Reader:
    """SSH's wire format (RFC 4251, section 5): strings with their length before them."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def take(self, count: int) -> bytes:
        if count > len(self._rest):
            raise SignatureError("cut off", subject=_SUBJECT)
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def text(self) -> bytes:
        return self.take(self.number())

    def positive(self) -> int:
        """An `mpint` in its one spelling."""
        data = self.text()
        value = int.from_bytes(data, "big")
        if not data or data[0] & 0x80 or (data[0] == 0 and (len(data) == 1 or not data[1] & 0x80)):
            raise SignatureError("an integer that is not positive, or not in its one spelling", subject=_SUBJECT)
        return value

    def done(self) -> None:
        if self._rest:
            raise SignatureError("bytes behind the end", subject=_SUBJECT)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SshSignature:
    """What an armoured signature claims: nothing of it is verified yet."""

    key: PublicKey
    namespace: bytes
    hash_name: str
    algorithm: bytes
    blob: bytes


def parse_ssh_signature(text: str) -> SshSignature:
    """Take an armoured signature apart.

    Raises:
        SignatureError: malformed, of another version, or by a kind of key that is not accepted.
    """
    reader = _Reader(_unarmoured(text))
    if reader.take(len(_MAGIC)) != _MAGIC or reader.number() != 1:
        raise SignatureError("not an SSH signature of version 1", subject=_SUBJECT)
    key = _key(reader.text())
    namespace, reserved, hash_name = reader.text(), reader.text(), reader.text()
    inner = _Reader(reader.text())
    reader.done()
    if reserved or hash_name.decode("latin-1") not in _HASHES:
        raise SignatureError("an extension or a hash that is not known", subject=_SUBJECT)
    algorithm, blob = inner.text(), inner.text()
    inner.done()
    return SshSignature(
        key=key, namespace=namespace, hash_name=hash_name.decode("latin-1"), algorithm=algorithm, blob=blob
    )


def _unarmoured(text: str) -> bytes:
    if len(text) > MAX_KEY_BYTES:
        raise SignatureError(f"larger than {MAX_KEY_BYTES} bytes", subject=_SUBJECT)
    lines = text.replace("\r\n", "\n").strip().split("\n")
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise SignatureError("not in its armour of BEGIN and END lines", subject=_SUBJECT)
    return from_base64("".join(lines[1:-1]), _SUBJECT)


def _key(blob: bytes) -> PublicKey:
    kind = _Reader(blob).text()
    return parse_public(f"{kind.decode('latin-1')} {base64.b64encode(blob).decode('ascii')}")


def verify_ssh(signature: str, payload: bytes, trusted: Iterable[PublicKey], namespace: str = NAMESPACE) -> Verified:
    """`payload`, if the armoured `signature` is one of it by a key of `trusted`, made for `namespace`.

    Raises:
        SignatureError: it is not.
    """
    keys = check_threshold(trusted, 1)
    found = parse_ssh_signature(signature)
    if found.namespace != namespace.encode():
        raise SignatureError(f"made for {found.namespace!r:.60}, not for {namespace!r}", subject=_SUBJECT,
                             remedy=f"sign with ssh-keygen -Y sign -n {namespace}")  # fmt: skip
    if found.key not in keys:
        raise SignatureError("by a key that is not trusted", subject=_SUBJECT)
    if found.algorithm != _ALGORITHMS[found.key.algorithm]:
        raise SignatureError("an algorithm that is not the one of its key", subject=_SUBJECT)
    digest = hashlib.new(found.hash_name, payload).digest()
    parts = (found.namespace, b"", found.hash_name.encode(), digest)
    message = _MAGIC + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    found.key.check(_native(found), message)
    return Verified(payload=payload, key_ids=frozenset([found.key.key_id]))


def _native(found: SshSignature) -> bytes:
    """The signature as `PublicKey.check` takes it."""
    if not found.key.algorithm.startswith("ecdsa-"):
        return found.blob
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    reader = _Reader(found.blob)
    r, s = reader.positive(), reader.positive()
    reader.done()
    return encode_dss_signature(r, s)
