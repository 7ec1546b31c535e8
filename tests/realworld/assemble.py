"""Fetches the pinned packages and lays their remote code out flat, as Hub repositories, under `build/realworld/`.

Guarantees: every downloaded byte was named by a SHA-256 in the table; no package is installed (helper libraries go to a
folder of their own) and no code of a package runs; a repository holds only the files that the table names, plus
config.json and vocabulary files of our own. It does not judge the code: that is what the result is for.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import vocabularies
from specs import Library, Package, Repository, Specs

BUILD = Path(__file__).parents[2] / "build" / "realworld"
_INERT_BACKEND = Path(__file__).with_name("inert_backend")


def assemble(specs: Specs, repository: Repository, build: Path = BUILD) -> Path:
    """Lay one repository out, fetching what it needs unless it is there, and return its folder."""
    for name in repository.libraries:
        install_library(specs.libraries[name], build)
    target = build / "repos" / repository.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in repository.files:
        _lay(target, Path(name).name, _read(specs, repository, name, build), repository)
    for name, text in repository.own_files.items():
        (target / name).write_text(text, encoding="utf-8")
    for name, data in vocabularies.files(repository.vocabulary).items():
        (target / name).write_bytes(data)
    for name, values in {"config.json": repository.config, **repository.json_files}.items():
        (target / name).write_text(json.dumps(_with_nulls(values), indent=2) + "\n", encoding="utf-8")
    return target


def install_library(library: Library, build: Path = BUILD) -> Path:
    """Install a helper library, without its dependencies, into a folder of its own."""
    folder = library_folder(library, build)
    if not folder.exists():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        _pip("install", library, build, "--only-binary", ":all:", "--target", str(partial))
        partial.rename(folder)
    return folder


def library_folder(library: Library, build: Path = BUILD) -> Path:
    """Where that library is installed for this Python; wheels with native code differ between Pythons."""
    tag = f"{sys.version_info.major}{sys.version_info.minor}"
    return build / "libraries" / f"{library.name}-{library.version}-py{tag}"


def _with_nulls(value: Any) -> Any:
    """TOML has no null: the string `<null>` stands for it."""
    if isinstance(value, dict):
        return {key: _with_nulls(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_nulls(item) for item in value]
    return None if value == "<null>" else value


def _lay(target: Path, name: str, data: bytes, repository: Repository) -> None:
    text = data.decode("utf-8")
    for old, new in repository.replace:
        text = text.replace(old, new)
    (target / name).write_bytes(text.encode("utf-8"))


def _read(specs: Specs, repository: Repository, name: str, build: Path) -> bytes:
    if repository.git:
        command = ["git", "-C", repository.git, "show", f"{repository.commit}:{name}"]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return (_unpacked(specs.packages[repository.package], build) / name).read_bytes()


def _unpacked(package: Package, build: Path) -> Path:
    folder = build / "unpacked" / f"{package.name}-{package.version}"
    if not folder.exists():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _extract_python(_download(package, build), partial)
        partial.rename(folder)
    return folder


def _download(package: Package, build: Path) -> Path:
    folder = build / "downloads" / f"{package.name}-{package.version}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _pip("download", package, build, "--no-build-isolation", "--use-pep517", "--dest", str(folder))
    (file,) = folder.iterdir()
    return file


def _pip(verb: str, wanted: Package | Library, build: Path, *options: str) -> None:
    """Run pip on one requirement by hash; the inert backend answers for a source package."""
    hashes = " ".join(f"--hash=sha256:{value}" for value in wanted.sha256)
    requirements = build / "requirements" / f"{wanted.name}.txt"
    requirements.parent.mkdir(parents=True, exist_ok=True)
    requirements.write_text(f"{wanted.name}=={wanted.version} {hashes}\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        verb,
        "--no-deps",
        "--require-hashes",
        "--ignore-requires-python",
    ]
    environment = {**os.environ, "PYTHONPATH": str(_INERT_BACKEND), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        [*command, *options, "--requirement", str(requirements)], env=environment, stderr=subprocess.PIPE
    )
    if done.returncode:
        raise RuntimeError(
            f"pip {verb} {wanted.name}=={wanted.version} failed:\n{done.stderr.decode(errors='replace')}"
        )


def _extract_python(archive: Path, target: Path) -> None:
    """Unpack the `.py` members only; an sdist's leading folder is dropped, so that both kinds have the same paths."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if name.endswith(".py"):
                    _write_member(target, name, wheel.read(name))
        return
    with tarfile.open(archive) as sdist:
        for member in sdist:
            content = sdist.extractfile(member) if member.isreg() and member.name.endswith(".py") else None
            if content is not None:
                _write_member(target, member.name.partition("/")[2], content.read())


def _write_member(target: Path, name: str, data: bytes) -> None:
    path = (target / name).resolve()
    if not path.is_relative_to(target.resolve()):
        raise ValueError(f"{name!r} would be written outside {target}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
