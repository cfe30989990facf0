"""The kinds of models: what their rows name is there, and PyTorch is loaded by who trains alone."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import MISSING, fields

import pytest

from timbrel.bundles.bundle import load_bundle, shipped_bundles
from timbrel.bundles.kinds import KINDS, TASKS, Kind, loaded, page_kinds, vocoder_kinds
from timbrel.training.task import Task


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_all_that_a_row_names_is_there(name: str, kind: Kind) -> None:
    task = loaded(kind.task)
    assert issubclass(task, Task)
    assert task.kind == name
    assert loaded(kind.sizes).__dataclass_fields__
    assert callable(loaded(kind.exporter))
    assert not kind.runner or callable(loaded(kind.runner))


@pytest.mark.parametrize(("name", "kind"), [("autoencoder", "transcriber"), ("joint", "parallel")])
def test_the_tasks_of_several_kinds_are_exported_as_one_of_them(name: str, kind: str) -> None:
    task = loaded(TASKS[name])
    assert issubclass(task, Task)
    assert task.kind == kind


def test_all_other_tasks_are_those_of_a_kind() -> None:
    assert set(TASKS) - set(KINDS) == {"autoencoder", "joint"}


def test_every_kind_with_a_use_is_listed_under_it() -> None:
    assert vocoder_kinds() == ["parallel", "wavenet", "student"]
    assert page_kinds("plays") == ["mel2mel", "parallel"]
    assert page_kinds("exports") == ["wavenet"]
    assert page_kinds("hears") == ["transcriber", "encoder"]


@pytest.mark.parametrize("name", shipped_bundles())
def test_shipped_models_have_the_sizes_of_their_kind(name: str) -> None:
    bundle = load_bundle(name)
    sizes = loaded(KINDS[bundle.kind].sizes)
    known = {field.name: field.default is not MISSING for field in fields(sizes)}
    assert set(bundle.model) <= set(known)
    # What a bundle of before lacks is as it was before.
    assert all(has_default for name, has_default in known.items() if name not in bundle.model)


def test_the_table_and_a_vocoder_load_without_pytorch() -> None:
    code = (
        "import sys\n"
        "from timbrel.vocoder.catalog import load_vocoder\n"
        "from timbrel.bundles.bundle import load_bundle\n"
        "load_vocoder('parallel', load_bundle('parallel').mel)\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
