"""A build backend that answers with the name and version of PKG-INFO and builds nothing (PEP 517).

It never imports or runs a file of the source package. It cannot build a wheel, and must not: we only unpack.
"""

from __future__ import annotations

from email.parser import HeaderParser
from pathlib import Path


class _Backend:
    """The hooks that `pip download` calls; pip looks `__legacy__` up for a package without a pyproject.toml."""

    def get_requires_for_build_wheel(self, config_settings: object = None) -> list[str]:
        return []

    def prepare_metadata_for_build_wheel(self, metadata_directory: str, config_settings: object = None) -> str:
        fields = HeaderParser().parsestr(Path("PKG-INFO").read_text(encoding="utf-8"))
        name, version = fields["Name"], fields["Version"]
        folder = Path(metadata_directory) / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        return folder.name


__legacy__ = _Backend()
get_requires_for_build_wheel = __legacy__.get_requires_for_build_wheel
prepare_metadata_for_build_wheel = __legacy__.prepare_metadata_for_build_wheel
