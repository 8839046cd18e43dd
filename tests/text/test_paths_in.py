"""Paths of this machine in settings that are given away: named, wherever they stand."""

from __future__ import annotations

from prunebench.text.private import paths_in


def test_every_path_that_leaves_the_working_directory_is_named() -> None:
    private = [
        "/set", "/home/Jane Doe/net.py:own", "../jane/set.npz", "%USERPROFILE%\\set.npz",
        "$HOME/set.npz", "C:\\Users\\jane\\set", "~/set", "~",
    ]  # fmt: skip
    plain = ["net.py:own", "data/set.npz", "hf:owner/name@main", "digits", "1/2", "", "a or b"]
    given = {"tasks": [{"path": path} for path in private + plain], "seeds": [0, 1.5, None]}
    assert paths_in(given) == sorted(private)
