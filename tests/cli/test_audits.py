"""The commands about reviews: what they write, what they say, how they end."""

from __future__ import annotations

import json
import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cli.commands import CONFIG, PLAIN, repository, run
from safe_remote_code.audits import download as download_module
from safe_remote_code.audits.document import read_store
from safe_remote_code.audits.download import download
from safe_remote_code.errors import FetchError, RefusedError
from safe_remote_code.lockfile import read_lock

CHANGED = PLAIN.replace("math.sqrt(x)", "math.exp(x)")
STORE = Path("remote-code-audits.toml")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _done(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def _pinned(text: str = PLAIN, name: str = "plain") -> str:
    """Pin (or pin anew) a repository of this text; its digest."""
    repository(Path(name), {"modeling_plain.py": text})
    _done("pin", name, "--update")
    return read_lock(Path("remote-code.lock")).of_source(f"local:{name}")[0].digest


def _keys(*names: str) -> None:
    for name in names:
        _done("keygen", name, "--no-password")
        _done("audits", "key", name, f"{name}.pub")


def test_init_exempts_what_is_in_use_and_check_stops_only_what_is_new() -> None:
    _pinned()
    _pinned(name="other")
    assert "exempts 2 entries" in _done("init")
    assert _done("check").count("exempted, unreviewed") == 2
    _pinned(CHANGED)
    result = run("check")
    assert result.exit_code == 1
    assert result.stdout.count("cleared safe-to-load") == 1
    assert result.stderr.count("[not-cleared]") == 1


def test_check_names_the_lines_and_what_to_run() -> None:
    before = _pinned()
    _done("init")
    after = _pinned(CHANGED)
    result = run("check")
    assert result.exit_code == 1
    assert "       8 -         return math.sqrt(x)\n       8 +         return math.exp(x)\n" in result.stdout
    assert f"safe-remote-code review plain --from {before}" in result.stderr
    assert f"safe-remote-code certify plain --from {before} --who NAME" in result.stderr
    assert f"the change from {before}" in _done("certify", "plain", "--from", before, "--who", "Ann")
    assert f"review of the change: Ann, {_today()}" in _done("check")
    assert after != before


def _today() -> str:
    return read_store(STORE).audits[0].date.isoformat()


@pytest.mark.parametrize("commands", ["review", "certify"])
def test_the_commands_that_check_prints_can_be_typed(commands: str) -> None:
    import shlex

    _pinned()
    _done("init")
    _pinned(CHANGED)
    line = next(line for line in run("check").stderr.splitlines() if f"safe-remote-code {commands}" in line)
    words = shlex.split(line[line.index("safe-remote-code") :])
    _done(*words[1:])


def test_check_of_a_source_looks_at_what_is_there_now() -> None:
    _pinned()
    _done("init")
    repository(Path("plain"), {"modeling_plain.py": CHANGED})
    assert run("check").exit_code == 0, "the lock alone is cleared"
    result = run("check", "plain")
    assert result.exit_code == 1
    assert "math.exp(x)" in result.stdout
    _done("certify", "plain", "--who", "Ann")
    result = run("check", "plain")
    assert (result.exit_code, "[digest-mismatch]" in result.stderr) == (1, True), "cleared, and not pinned"
    _done("pin", "plain", "--update")
    _done("check", "plain")


def test_an_empty_lock_is_not_a_clean_one() -> None:
    _done("init")
    assert run("check").exit_code == 1


@pytest.mark.parametrize("command", [("check",), ("suggest",), ("certify", "plain", "--who", "Ann"), ("audits", "show")])
def test_without_a_store_they_say_how_to_begin(command: tuple[str, ...]) -> None:
    _pinned()
    result = run(*command)
    assert (result.exit_code, "safe-remote-code init" in result.stderr) == (2, True)


def test_init_does_not_replace_a_store() -> None:
    _pinned()
    _done("init")
    before = STORE.read_bytes()
    assert (run("init").exit_code, STORE.read_bytes()) == (1, before)


def test_suggest_prints_the_smallest_review_first() -> None:
    _pinned()
    _pinned(PLAIN + "a = 1\n" * 30, "large")
    base = _pinned(PLAIN + "b = 1\n" * 20, "close")
    _done("init")
    near = PLAIN + "b = 1\n" * 19 + "b = 2\n"
    _pinned(near, "close")
    _pinned(PLAIN + "class Other: pass\n" + "c = 3\n" * 40, "large")
    _pinned(CHANGED)
    lines = _done("suggest").splitlines()
    sizes = [int(line.split()[0]) for line in lines if "lines  local:" in line]
    assert sizes == sorted(sizes) and len(sizes) == 3
    assert f"safe-remote-code review close --from {base}" in lines[1] + lines[4]
    assert run("suggest").exit_code == 0
    assert "nothing is open" not in _done("suggest", "--exempted")


def test_suggest_offers_what_was_never_read_when_asked() -> None:
    _pinned()
    _done("init")
    assert "nothing is open: 1 entry" in _done("suggest")
    assert "local:plain: all of it" in _done("suggest", "--exempted")
    _done("certify", "plain", "--who", "Ann")
    assert "nothing is open" in _done("suggest", "--exempted")


def test_keys_certify_and_revoke() -> None:
    digest = _pinned()
    _done("init")
    STORE.write_text(re.sub(r"\[\[exemption\]\].*", "", STORE.read_text(), flags=re.DOTALL).replace("records = 1", "records = 0"))
    _keys("ann", "bob")
    assert "only with 1 signatures" in run("certify", "plain", "--who", "Ann").stderr
    assert "signed: ann, bob" in _done("certify", "plain", "--key", "ann", "--key", "bob")
    _done("audits", "require", "--signatures", "2")
    assert "(signed: ann, bob)" in _done("check")
    _done("audits", "revoke", "bob", "--why", "laptop stolen")
    result = run("check")
    assert result.exit_code == 1
    assert "signed by 1 keys that count, of 2 needed; revoked: bob" in result.stdout
    assert run("certify", "plain", "--key", "bob").exit_code == 1, "a revoked key signs nothing"
    _done("audits", "require", "--signatures", "1")
    assert digest in _done("check")


def test_two_people_certify_one_after_the_other() -> None:
    _pinned()
    _done("init")
    _keys("ann", "bob")
    _done("audits", "require", "--signatures", "2")
    _done("certify", "plain", "--who", "Both", "--key", "ann")
    _done("certify", "plain", "--who", "Both", "--key", "bob")
    (audit,) = read_store(STORE).audits
    assert len(audit.signatures) == 2
    assert "full review: Both (signed: ann, bob)" in _done("check")


def test_the_first_key_says_what_it_takes_back() -> None:
    _pinned()
    _done("init")
    _done("certify", "plain", "--who", "Ann")
    _done("keygen", "ann", "--no-password")
    assert "1 audit so far must be certified again" in run("audits", "key", "ann", "ann.pub").stderr


def test_a_violation_stops_everything() -> None:
    digest = _pinned()
    _done("init")
    _done("certify", "plain", "--who", "Ann")
    _done("audits", "violation", "plain", "--who", "Ann", "--why", "sends tokens away")
    result = run("check")
    assert (result.exit_code, "sends tokens away" in result.stderr, digest in STORE.read_text()) == (1, True, True)
    assert run("certify", "plain", "--who", "Bob").exit_code == 1
    assert run("suggest").exit_code == 1


def test_a_violation_of_one_file_stops_every_package_that_holds_it() -> None:
    _pinned()
    repository(Path("two"), {"modeling_plain.py": PLAIN + "from . import extra\n", "extra.py": CHANGED})
    _done("pin", "two")
    _done("init")
    (two,) = read_lock(Path("remote-code.lock")).of_source("local:two")
    _done("audits", "violation", f"sha256:{two.files['extra.py']}", "--who", "Ann", "--why", "bad")
    result = run("check")
    assert "extra.py is bad" in result.stderr and "local:plain" in result.stdout


def test_trust_and_exempt_need_their_ends() -> None:
    _pinned()
    _done("init")
    assert run("audits", "trust", "hub:org/*", "--why", "ours").exit_code == 2
    assert run("audits", "trust", "hub:org/*", "--why", "ours", "--until", "2999-01-01").exit_code == 1
    assert run("audits", "trust", "hub:*", "--why", "ours", "--until", _later()).exit_code == 1
    assert "trusted: hub:org/*" in _done("audits", "trust", "hub:org/*", "--why", "ours", "--until", _later())
    assert run("audits", "exempt", "plain", "--why", "soon", "--until", "tomorrow").exit_code == 2
    _done("audits", "exempt", "plain", "--why", "soon", "--until", _later())
    assert "until" in _done("check")
    assert run("audits", "exempt", "nothing/here", "--why", "soon").exit_code == 1


def _later() -> str:
    import datetime

    return (datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=30)).isoformat()


def test_a_criterion_of_ours() -> None:
    _pinned()
    _done("init")
    _done("audits", "criterion", "house-rules", "--description", "all of ours", "--implies", "safe-to-serve")
    _done("audits", "require", "--criteria", "safe-to-serve")
    assert run("check").exit_code == 1, "the exemption was for less"
    _done("certify", "plain", "--who", "Ann", "--criteria", "house-rules")
    assert "cleared safe-to-serve" in _done("check")
    assert run("certify", "plain", "--who", "Ann", "--criteria", "unheard-of").exit_code == 1
    assert "requires safe-to-serve" in _done("audits", "show")


def _peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *certify: str) -> Path:
    """Another project, `peer/`, that certified `plain` and exported its set to `peer/set.json`."""
    folder = tmp_path / "peer"
    repository(folder / "plain")
    monkeypatch.chdir(folder)
    if not STORE.exists():
        _done("pin", "plain")
        _done("init")
        _keys("carol")
    if certify:
        _done("certify", "plain", "--key", "carol", *certify)
    _done("audits", "export", "set.json", "--key", "carol")
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_set_is_exported_imported_and_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _peer(tmp_path, monkeypatch, "--who", "Carol")
    _pinned()
    _done("init", "--until", _later())
    assert run("audits", "import", "acme", "peer/set.json").exit_code == 1, "no key, no import"
    assert "1 audit" in _done("audits", "import", "acme", "peer/set.json", "--key", "peer/carol.pub")
    assert "Carol of acme" in _done("check")
    assert "import acme: 1 audit" in _done("audits", "show")
    # the peer takes its audit back
    path = folder / STORE
    text = path.read_text()
    path.write_text(re.sub(r"\[\[audit\]\].*?(?=\n\[\[exemption)", "", text, flags=re.DOTALL).replace("records = 4", "records = 2"))
    _peer(tmp_path, monkeypatch)
    again = _done("audits", "import", "acme", "peer/set.json")
    assert "REMOVED upstream: all of sha256:" in again and "Carol" in again
    assert "Carol of acme" not in _done("check")


def test_a_violation_that_a_peer_takes_back_is_not_dropped_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _peer(tmp_path, monkeypatch, "--who", "Carol")
    before = (folder / STORE).read_text()
    monkeypatch.chdir(folder)
    _done("audits", "violation", "plain", "--who", "Carol", "--why", "changed my mind")
    _peer(tmp_path, monkeypatch)
    _pinned()
    _done("init")
    _done("audits", "import", "acme", "peer/set.json", "--key", "peer/carol.pub")
    assert "changed my mind" in run("check").stderr
    (folder / STORE).write_text(before)
    _peer(tmp_path, monkeypatch)
    result = run("audits", "import", "acme", "peer/set.json")
    assert (result.exit_code, "--drop-violations" in result.stderr) == (1, True)
    assert run("check").exit_code == 1
    _done("audits", "import", "acme", "peer/set.json", "--drop-violations")
    _done("check")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"payload": "", "payloadType": "x", "signatures": []}'])
def test_a_file_that_is_no_set_is_refused(content: bytes) -> None:
    _done("init")
    _done("keygen", "carol", "--no-password")
    Path("set.json").write_bytes(content)
    result = run("audits", "import", "acme", "set.json", "--key", "carol.pub")
    assert result.exit_code == 1
    assert not Path("remote-code-audits").exists()


@pytest.mark.parametrize("name", ["../acme", "Acme", "a/b", ""])
def test_the_name_of_a_peer_cannot_leave_its_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _peer(tmp_path, monkeypatch, "--who", "Carol")
    _done("init")
    assert run("audits", "import", name, "peer/set.json", "--key", "peer/carol.pub").exit_code == 1


@pytest.mark.parametrize("url", ["http://example.org/set.json", "file:///etc/passwd", "ftp://example.org/x", "HTTP://x/"])
def test_only_https_is_fetched(url: str) -> None:
    with pytest.raises(RefusedError, match="https only"):
        download(url)


class _Server:
    """An HTTPS server on the loopback address with a certificate of its own."""

    def __init__(self, folder: Path, answer: Any) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificate(folder))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}/set.json"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _certificate(folder: Path) -> Path:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "server.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


def _reply(code: int, body: bytes = b"", **headers: str) -> Any:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_a_set_is_fetched_over_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _peer(tmp_path, monkeypatch, "--who", "Carol")
    server = _Server(tmp_path, _reply(200, (folder / "set.json").read_bytes()))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    _pinned()
    _done("init")
    try:
        _done("audits", "import", "acme", server.url, "--key", "peer/carol.pub")
    finally:
        server.close()
    assert read_store(STORE).imports[0].origin == server.url
    assert "Carol of acme" in _done("check"), "offline, from the pinned copy"


def test_a_server_that_is_not_known_too_generous_or_leads_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = _Server(tmp_path, _reply(200, b"x" * 2000))
    try:
        with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
            download(server.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        monkeypatch.setattr(download_module, "MAX_DOCUMENT_BYTES", 1999)
        with pytest.raises(RefusedError, match="larger than"):
            download(server.url)
    finally:
        server.close()
    for code, error in ((302, RefusedError), (404, FetchError)):
        server = _Server(tmp_path, _reply(code, Location="http://example.org/set.json"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        try:
            with pytest.raises(error):
                download(server.url)
        finally:
            server.close()


def test_review_needs_no_store_and_writes_a_page() -> None:
    repository(Path("plain"))
    assert "the whole code, for nothing like it was read before" in _done("review", "plain")
    _pinned()
    repository(Path("plain"), {"modeling_plain.py": CHANGED})
    assert "2 lines to read" in _done("review", "plain")
    assert f"{CHANGED.count(chr(10))} lines to read" in _done("review", "plain", "--whole")
    _done("review", "plain", "--html", "review.html")
    assert Path("review.html").read_text().startswith("<!doctype html>")
    assert run("review", "plain", "--html", "no/such/folder/review.html").exit_code == 2
    assert run("review", "plain", "--from", "sha256:00").exit_code == 1


def test_a_spoilt_object_costs_the_diff_and_never_the_verdict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    base = _pinned()
    _done("init")
    _pinned(CHANGED)
    for item in Path("remote-code-audits/objects").iterdir():
        item.write_bytes(b"spoilt")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    result = run("check")
    assert (result.exit_code, "nothing like it was reviewed" in result.stdout) == (1, True)
    assert run("review", "plain", "--from", base).exit_code == 1


def test_the_store_can_lie_elsewhere() -> None:
    Path("ci").mkdir()
    repository(Path("ci/plain"))
    _done("pin", "ci/plain", "--lockfile", "ci/models.lock")
    _done("init", "--store", "ci/audits.toml", "--lockfile", "ci/models.lock")
    repository(Path("ci/plain"), {"modeling_plain.py": CHANGED}, json.loads(json.dumps(CONFIG)))
    _done("pin", "ci/plain", "--lockfile", "ci/models.lock", "--update")
    result = run("check", "--store", "ci/audits.toml", "--lockfile", "ci/models.lock")
    assert "math.exp" in result.stdout
    assert "review ci/plain" in result.stderr and "--store ci/audits.toml --lockfile ci/models.lock" in result.stderr
    assert Path("ci/audits/objects").is_dir()
