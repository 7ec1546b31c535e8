"""Folders that hostile code filled are deleted, whatever it left there."""

from __future__ import annotations

import os
from pathlib import Path

from safe_remote_code.removal import remove_tree


def test_deeper_than_recursion_and_paths_go(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "lock").touch()
    place = os.open(root, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("folder-of-a-long-name", dir_fd=place)
        below = os.open("folder-of-a-long-name", os.O_RDONLY, dir_fd=place)
        os.close(os.open("file", os.O_CREAT, dir_fd=below))
        os.close(place)
        place = below
    os.close(place)
    remove_tree(root, last="lock")
    assert not root.exists()


def test_closed_folders_go_and_links_are_not_followed(tmp_path: Path) -> None:
    root, kept = tmp_path / "root", tmp_path / "kept"
    (root / "closed" / "inner").mkdir(parents=True)
    kept.mkdir()
    (kept / "file").touch()
    (root / "link").symlink_to(kept)
    (root / "closed" / "inner" / "link").symlink_to(kept)
    os.mkfifo(root / "pipe")
    os.chmod(root / "closed" / "inner", 0)
    os.chmod(root / "closed", 0)
    remove_tree(root)
    assert not root.exists() and (kept / "file").exists()


def test_a_link_in_the_place_of_the_folder_is_left_alone(tmp_path: Path) -> None:
    kept, link = tmp_path / "kept", tmp_path / "link"
    kept.mkdir()
    (kept / "file").touch()
    link.symlink_to(kept)
    remove_tree(link)
    remove_tree(tmp_path / "missing")
    assert (kept / "file").exists()
