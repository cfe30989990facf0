"""Numbers as people write them."""

from __future__ import annotations

from timbrel.words import in_ranges


def test_ranges_are_read_as_people_write_them() -> None:
    assert in_ranges([21, 22, 23, 30, 97, 98]) == "21–23, 30, 97–98"
    assert in_ranges([]) == ""
