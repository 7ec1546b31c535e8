"""`make interop`: bundles go both ways between this package and the model_signing tool, and a matrix of tampering.

    python -m signing.interop path/to/model_signing     (in tests/)

Each row of the matrix is one change of bundle or tree, after which both verifiers are asked. The script fails if ours
accepts one, if theirs refuses what ours made, or if theirs accepts a row for which no reason is given here.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, final

from click.testing import CliRunner

from safe_remote_code.cli import program
from safe_remote_code.signing.key_files import load_private, write_pair
from safe_remote_code.signing.keys import generate
from signing.chains import Party, party

CURVES: Final = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521")
KIND: Final = "application/vnd.in-toto+json"
#: Rows that model_signing 1.1.1 accepts, and why ours does not.
THEIRS_ACCEPTS: Final = {
    "code in an ignored folder": "ignore_paths of the payload decide there; here they never hide code",
    "hint removed and signature doubled": "only the first signature is looked at there",
    "encoding of version 0.2": "kept there for old bundles; its lengths and quoting are ambiguous",
    "expired chain": "the time is set to the start of the signing certificate there",
    "another subject under the same root": "no subject is asked for there",
}


@final
@dataclass(frozen=True)
class World:
    """A model, keys, and the two tools."""

    folder: Path
    tool: str

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def ours(self, *words: object) -> bool:
        code = CliRunner().invoke(program, [str(word) for word in words]).exit_code
        if code not in (0, 1):
            raise RuntimeError(f"neither accepted nor refused: {words}")
        return code == 0

    def theirs(self, *words: object) -> bool:
        done = subprocess.run([self.tool, *map(str, words)], capture_output=True, timeout=120, check=False)
        return done.returncode == 0

    def both(self, signature: Path, key: str = "ecdsa-p256") -> tuple[bool, bool]:
        public = self.folder / f"{key}.pub"
        return (
            self.ours("verify", self.model, "--signature", signature, "--key", public, "--full"),
            self.theirs("verify", "key", "--public_key", public, "--signature", signature, self.model),
        )

    def both_by_chain(self, signature: Path, identity: str = "signer@example.org") -> tuple[bool, bool]:
        root = self.folder / "root.pem"
        chain = ("--certificate-root", root, "--identity", identity)
        return (
            self.ours("verify", self.model, "--signature", signature, *chain, "--full"),
            self.theirs("verify", "certificate", "--certificate_chain", root, "--signature", signature, self.model),
        )


def _fill(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "sub").mkdir(parents=True)
    (folder / "modeling_x.py").write_text("class X:\n    pass\n")
    (folder / "config.json").write_text("{}\n")
    (folder / "sub" / "weights (1).bin").write_bytes(bytes(range(256)) * 40)


def _write_chain(folder: Path, name: str, leaf: Party, issuer: Party) -> None:
    (folder / f"{name}.pem").write_bytes(leaf.pem)
    (folder / f"{name}.issuer.pem").write_bytes(issuer.pem)
    (folder / f"{name}.key").write_bytes(leaf.key_pem)
    (folder / f"{name}.key").chmod(0o600)


def _prepare(world: World) -> None:
    _fill(world.model)
    for curve in CURVES:
        write_pair(generate(curve), world.folder / curve, None)
    now = datetime.now(UTC).replace(microsecond=0)
    root = party("root", ca=True, now=now)
    issuer = party("issuer", root, ca=True, now=now)
    (world.folder / "root.pem").write_bytes(root.pem)
    day = timedelta(days=1)
    _write_chain(world.folder, "good", party("leaf", issuer, email="signer@example.org", now=now), issuer)
    _write_chain(world.folder, "other", party("eve", issuer, email="eve@example.org", now=now), issuer)
    expired = party("leaf", issuer, email="signer@example.org", start=-day / 2, end=-day / 24, now=now)
    _write_chain(world.folder, "expired", expired, issuer)


def _chain_bundle(world: World, name: str) -> Path:
    """Made by their tool."""
    place, parts = world.folder / f"{name}.sig", world.folder
    world.theirs(
        "sign", "certificate", "--private_key", parts / f"{name}.key", "--signing_certificate", parts / f"{name}.pem",
        "--certificate_chain", parts / f"{name}.issuer.pem", "--signature", place, world.model,
    )  # fmt: skip
    return place


def good_rows(world: World) -> list[tuple[str, tuple[bool, bool]]]:
    """What both must accept: each curve, signed by either side; a chain."""
    rows = []
    for curve in CURVES:
        ours, theirs = world.folder / f"{curve}.ours.sig", world.folder / f"{curve}.theirs.sig"
        world.ours("sign", world.model, "--oms", "--key", world.folder / curve, "--signature", ours)
        world.theirs("sign", "key", "--private_key", world.folder / curve, "--signature", theirs, world.model)
        rows += [(f"{curve}, signed by us", world.both(ours, curve)), (f"{curve}, signed by the tool", world.both(theirs, curve))]
    ours, chain = world.folder / "chain.ours.sig", world.folder / "good.chain.pem"
    chain.write_bytes((world.folder / "good.pem").read_bytes() + (world.folder / "good.issuer.pem").read_bytes())
    words = ("--oms", "--key", world.folder / "good.key", "--certificate", chain, "--signature", ours)
    world.ours("sign", world.model, *words)
    rows.append(("certificate chain, signed by us", world.both_by_chain(ours)))
    return [*rows, ("certificate chain, signed by the tool", world.both_by_chain(_chain_bundle(world, "good")))]


def _regions(bundle: bytes) -> dict[str, bytes]:
    """The bundle with one bit changed, at the middle of each of its parts."""
    value, rows = json.loads(bundle), {}
    places = {
        "media type": value["mediaType"], "hint": value["verificationMaterial"]["publicKey"]["hint"],
        "payload, head": value["dsseEnvelope"]["payload"][:80], "payload, middle": value["dsseEnvelope"]["payload"][400:480],
        "payload, tail": value["dsseEnvelope"]["payload"][-80:], "payload type": value["dsseEnvelope"]["payloadType"],
        "signature, head": value["dsseEnvelope"]["signatures"][0]["sig"][:20], "signature, tail": value["dsseEnvelope"]["signatures"][0]["sig"][-20:],
    }  # fmt: skip
    for name, text in places.items():
        at = bundle.index(text.encode()) + len(text) // 2
        rows[f"a bit of the {name}"] = bundle[:at] + bytes([bundle[at] ^ 1]) + bundle[at + 1 :]
    return rows


def _edited(bundle: bytes, edit: Callable[[dict[str, object]], object]) -> bytes:
    value = json.loads(bundle)
    edit(value)
    return json.dumps(value).encode()


def _old_encoding(world: World) -> Callable[[dict[str, object]], object]:
    def edit(value: dict[str, object]) -> None:
        envelope = value["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"])  # type: ignore[index]
        message = f"DSSEV1 {len(KIND)} {KIND} {len(payload)} {payload!r}".encode()
        signature = load_private(world.folder / "ecdsa-p256").sign(message)
        envelope["signatures"] = [{"sig": base64.b64encode(signature).decode(), "keyid": ""}]  # type: ignore[index]

    return edit


def bundle_rows(world: World) -> list[tuple[str, tuple[bool, bool]]]:
    """Changes of the bundle; the tree is as it was signed."""
    bundle = (world.folder / "ecdsa-p256.ours.sig").read_bytes()
    rows = _regions(bundle) | {
        "cut off": bundle[:-1],
        "empty": b"",
        "no signature": _edited(bundle, lambda value: value["dsseEnvelope"].__setitem__("signatures", [])),  # type: ignore[attr-defined]
        "encoding of version 0.2": _edited(bundle, _old_encoding(world)),
        "hint removed and signature doubled": _edited(bundle, lambda value: (value["verificationMaterial"].__setitem__("publicKey", {}), value["dsseEnvelope"]["signatures"].append({"sig": "AAAA", "keyid": ""}))),  # type: ignore[attr-defined, index]
        "an unknown field beside the envelope": _edited(bundle, lambda value: value.__setitem__("more", {})),
        "the signature of another key": (world.folder / "other-key.sig").read_bytes(),
    }  # fmt: skip
    place, found = world.folder / "tampered.sig", []
    for name, data in rows.items():
        place.write_bytes(data)
        found.append((name, world.both(place)))
    return found


def tree_rows(world: World) -> list[tuple[str, tuple[bool, bool]]]:
    """Changes of the tree; the bundle is as it was signed."""
    signature = world.folder / "ecdsa-p256.ours.sig"
    acts: dict[str, Callable[[Path], object]] = {
        "a byte of code": lambda model: (model / "modeling_x.py").write_text("class Y:\n    pass\n"),
        "a byte of the weights": lambda model: (model / "sub/weights (1).bin").write_bytes(bytes(range(255, -1, -1)) * 40),
        "a file cut off": lambda model: (model / "sub/weights (1).bin").write_bytes(b""),
        "a file removed": lambda model: (model / "config.json").unlink(),
        "a file renamed": lambda model: (model / "config.json").rename(model / "Config.json"),
        "a file added": lambda model: (model / "helper.py").write_text("x = 1\n"),
        "a link to the same content": lambda model: ((model / "config.json").rename(world.folder / "elsewhere.json"), (model / "config.json").symlink_to(world.folder / "elsewhere.json")),
    }  # fmt: skip
    found = []
    for name, act in acts.items():
        _fill(world.model)
        act(world.model)
        found.append((name, world.both(signature)))
    _fill(world.model)
    return [*found, _ignored_row(world)]


def _ignored_row(world: World) -> tuple[str, tuple[bool, bool]]:
    """Signed by their tool with a folder left out, into which code is put afterwards."""
    signature, key = world.folder / "ignoring.sig", world.folder / "ecdsa-p256"
    (world.model / "plugins").mkdir()
    world.theirs("sign", "key", "--private_key", key, "--ignore-paths", world.model / "plugins", "--signature", signature, world.model)
    (world.model / "plugins" / "evil.py").write_text("x = 1\n")
    result = world.both(signature)
    shutil.rmtree(world.model / "plugins")
    return "code in an ignored folder", result


def chain_rows(world: World) -> list[tuple[str, tuple[bool, bool]]]:
    """Chains that prove nothing."""
    good = (world.folder / "good.sig").read_bytes()
    flipped = json.loads(good)
    certificate = flipped["verificationMaterial"]["x509CertificateChain"]["certificates"][0]
    raw = bytearray(base64.b64decode(certificate["rawBytes"]))
    raw[len(raw) // 2] ^= 1
    certificate["rawBytes"] = base64.b64encode(raw).decode()
    (world.folder / "flipped.sig").write_text(json.dumps(flipped))
    return [
        ("a bit of the signing certificate", world.both_by_chain(world.folder / "flipped.sig")),
        ("expired chain", world.both_by_chain(_chain_bundle(world, "expired"))),
        ("another subject under the same root", world.both_by_chain(_chain_bundle(world, "other"))),
    ]


def main(tool: str) -> int:
    """The table, and 1 if a row is not as it should be."""
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), tool)
        _prepare(world)
        print(f"{'both must accept':<48} ours      theirs")
        for name, verdicts in good_rows(world):
            bad += _row(name, verdicts, all(verdicts))
        other = world.folder / "other-key.sig"
        write_pair(generate("ecdsa-p256"), world.folder / "stranger", None)
        world.ours("sign", world.model, "--oms", "--key", world.folder / "stranger", "--signature", other)
        print(f"\n{'ours must refuse':<48} ours      theirs")
        for name, (ours, theirs) in [*bundle_rows(world), *tree_rows(world), *chain_rows(world)]:
            reason = THEIRS_ACCEPTS.get(name, "")
            bad += _row(name, (ours, theirs), not ours and (not theirs or bool(reason)), reason if theirs else "")
    print(f"\n{bad} rows are not as they should be")
    return 1 if bad else 0


def _row(name: str, verdicts: tuple[bool, bool], good: bool, reason: str = "") -> int:
    words = [f"{'accepts' if verdict else 'refuses':<9}" for verdict in verdicts]
    print(f"{name:<48} {' '.join(words)} {'' if good else 'WRONG '}{reason}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
