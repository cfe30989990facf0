"""Whom to name."""

from __future__ import annotations

import pytest

from timbrel.training.attribution import combined

ONE, OTHER = "Trained on A (MIT).", "Trained on B (CC0)."


@pytest.mark.parametrize(
    ("attributions", "expected"),
    [
        ((), ""),
        (("", ""), ""),
        ((ONE, ""), ONE),
        ((ONE, ONE), ONE),
        ((ONE, OTHER), f"{ONE} {OTHER}"),
        ((OTHER, f"{ONE} {OTHER}"), f"{ONE} {OTHER}"),
        ((f"{ONE} {OTHER}", OTHER, ONE), f"{ONE} {OTHER}"),
    ],
)
def test_nothing_is_said_twice(attributions: tuple[str, ...], expected: str) -> None:
    assert combined(*attributions) == expected
