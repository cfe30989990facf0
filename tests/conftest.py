"""What several tests need: a small random model, and the corpus where it is present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from xdist.remote import Producer

from support.scheduling import Scheduling, group_of
from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.evaluation.originals import Excerpt
from timbrel.evaluation.run import Evaluation, evaluate
from timbrel.geometry import MelConfig
from timbrel.measures.compiled import compile_librosa
from timbrel.mel.export import write_mel2mel_bundle
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig
from timbrel.score.instruments import TEN_INSTRUMENTS

pytest_plugins = ["support.listening_fixtures", "support.notes_fixtures", "support.small_fixtures"]

FRAME_RATE = MelConfig().frame_rate  # of the default models
EXAMPLES = Path(__file__).parents[1] / "src" / "timbrel" / "examples"
SOUNDFONT = Path("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3")
# The piano-midi.de corpus is not part of Timbrel; tests that want it skip without it.
CORPUS = Path(
    os.environ.get(
        "TIMBREL_CORPUS", Path(__file__).parents[2] / "shared" / "data" / "midi" / "piano-midi.de"
    )
)

# Two tracks; the first one's length is no whole number of the frames of either transform.
EXCERPTS = [Excerpt("duet.mid", 1.5, 2.203), Excerpt("prelude.mid", 4.0, 2.0)]
INSTRUMENTS = ["harp", "grand piano"]

NICENESS = 10  # of what a browser must not wait for, where several processes share the cores


def pytest_configure(config: pytest.Config) -> None:
    """Where several processes share the cores, each computes on one, with those that it starts."""
    if config.getoption("dist", "no") != "no":
        os.environ["OMP_NUM_THREADS"] = "1"  # before they start
        compile_librosa()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # of one of several processes
        items.sort(key=lambda item: group_of(item.nodeid) is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What a browser plays must come in time; what the other process computes need not."""
    if hasattr(item.config, "workerinput") and group_of(item.nodeid) is None:
        os.nice(max(0, NICENESS - os.nice(0)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def tiny_model() -> Mel2Mel:
    """A small Mel2Mel with random weights that a bundle of half precision holds exactly."""
    torch.manual_seed(1)
    model = Mel2Mel(Mel2MelConfig(n_instruments=10, hidden_size=16)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
        model.output.bias.fill_(-2.0)
    return model


@pytest.fixture(scope="session")
def tiny_bundle(tiny_model: Mel2Mel, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundle of `tiny_model`."""
    path = tmp_path_factory.mktemp("models") / "tiny"
    write_mel2mel_bundle(
        tiny_model,
        path,
        name="tiny",
        mel=MelConfig(),
        gain=0.5,
        instruments=TEN_INSTRUMENTS,
        window={"hop": 16, "context": 64},
        license="MIT",
        attribution="Not trained.",
        training={},
    )
    return load_bundle(path)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of the piano-midi.de corpus."""
    if not (CORPUS / "splits.csv").is_file():
        pytest.skip(f"the piano-midi.de corpus is not at {CORPUS} (set TIMBREL_CORPUS)")
    return CORPUS


@pytest.fixture(scope="session")
def soundfont() -> Path:
    """MuseScore's SoundFont, which `make test` installs."""
    assert SOUNDFONT.is_file(), f"{SOUNDFONT} is missing; run tools/install-system-packages"
    return SOUNDFONT


@pytest.fixture(scope="session")
def evaluation(
    tiny_bundle: Bundle, soundfont: Path, tmp_path_factory: pytest.TempPathFactory
) -> Evaluation:
    """A random model and Griffin-Lim on two tracks in two instruments."""
    return evaluate(
        EXAMPLES,
        soundfont,
        EXCERPTS,
        models=[str(tiny_bundle.path)],
        vocoders=["griffin-lim"],
        instruments=INSTRUMENTS,
        cache=tmp_path_factory.mktemp("evaluation") / "cache",
        jobs=1,
    )
