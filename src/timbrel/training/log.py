"""The log of a run: JSON lines, and the same numbers for TensorBoard."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from timbrel.errors import InputError
from timbrel.files import atomic_path
from timbrel.training.record import Change
from timbrel.training.task import Validation

LOG_FILE = "log.jsonl"


class Log:
    """What a run writes down while it goes; one process of it does.

    Parameters
    ----------
    run
        The run's folder.
    step
        Steps done. What was logged of later ones, before the run was killed, will be done again
        and is taken out.
    """

    def __init__(self, run: Path, step: int) -> None:
        path = run / LOG_FILE
        if path.exists():
            kept = [record for record in read_log(run) if record["step"] <= step]
            with atomic_path(path) as temporary:
                temporary.write_text(
                    "".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8"
                )
        self._file = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def line(self, kind: str, step: int, values: dict[str, float]) -> None:
        """Write numbers of a kind: "train" or "valid"."""
        self._write(kind, step, values)
        for name, value in values.items():
            self._board.add_scalar(f"{kind}/{name}", value, step)

    def change(self, change: Change) -> None:
        """Write that the run goes on with another value of its recipe."""
        self._write("change", change.step, {change.key: [change.old, change.new]})

    def validation(self, step: int, found: Validation) -> None:
        self.line("valid", step, found.measures)
        found.draw(self._board, step)

    def close(self) -> None:
        self._file.close()
        self._board.close()

    def _write(self, kind: str, step: int, values: dict[str, Any]) -> None:
        self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        self._file.flush()


def read_log(run: str | os.PathLike) -> list[dict[str, Any]]:
    """Read the lines of a run's log, each with its "kind" and "step".

    Raises
    ------
    InputError
        If there is no log. A last line that a kill cut off is left out.
    """
    path = Path(run) / LOG_FILE
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); is it a training run?"
        ) from None
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            found.append({"kind": str(record["kind"]), "step": int(record["step"]), **record})
        except (ValueError, KeyError, TypeError):
            if number < len(lines):
                raise InputError(f"{path}: line {number} is damaged") from None
    return found
