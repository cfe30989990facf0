"""Fixtures of small training data; a test module says ``pytest_plugins = ["small_fixtures"]``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from conftest import EXAMPLES
from support.small_data import ATTRIBUTION, LICENSE, SPANS, SPLITS, TWO_INSTRUMENTS
from timbrel.corpus.preparation import prepare
from timbrel.corpus.soundfont import to_midi
from timbrel.score.midi import read_midi
from timbrel.training import loop


@pytest.fixture(scope="session")
def small_midis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of five short MIDI files, with splits.csv."""
    folder = tmp_path_factory.mktemp("midis")
    for name, (example, start_s, duration_s) in SPANS.items():
        score = read_midi(EXAMPLES / example).excerpt(start_s, duration_s)
        (folder / name).parent.mkdir(exist_ok=True)
        to_midi(score, 0, tail_s=0).save(folder / name)
    rows = "".join(f"{name},{split}\n" for name, split in SPLITS.items())
    (folder / "splits.csv").write_text("file,split\n" + rows)
    return folder


@pytest.fixture(scope="session")
def small_data(
    small_midis: Path, soundfont: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """These files as prepared data; tests leave it as it is (training caches mels in it)."""
    folder = tmp_path_factory.mktemp("data") / "two"
    prepare(
        small_midis,
        folder,
        soundfont=soundfont,
        instruments=TWO_INSTRUMENTS,
        splits=small_midis / "splits.csv",
        license=LICENSE,
        attribution=ATTRIBUTION,
        jobs=1,
    )
    return folder


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute so that each bit can be compared, and keep the memory of this process as it is."""
    monkeypatch.setattr(loop, "_keep_freed_memory", lambda: None)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
