"""`timbrel train` and `timbrel export` as a user runs them."""

from __future__ import annotations

import pytest

from support.command_line import failure_of

pytestmark = pytest.mark.usefixtures("songs")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "missing.yaml", "--data", "data"], "missing.yaml: cannot be read"),
        (["export", "missing"], "missing"),
    ],
)
def test_training_without_data_is_refused(arguments: list[str], message: str) -> None:
    assert message in failure_of(*arguments, "-o", "out")
