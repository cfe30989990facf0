"""Sampled instruments: an SFZ file as samplers read it, samples of the right pitch and level."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from timbrel.errors import InputError, OutputError
from timbrel.sampled import VELOCITIES, Sample, sfz_text, write_sampled
from timbrel.score.score import Note, Score, Track
from timbrel.synthesizer import Synthesizer

KEYS = [48, 52, 56]
# Of the first SFZ format, but for the last two, which sfizz and ARIA have from it, too.
OPCODES = {
    *("sample", "lokey", "hikey", "lovel", "hivel", "pitch_keycenter", "pitch_keytrack"),
    *("volume", "ampeg_release", "loop_mode", "loop_start", "loop_end"),
}


def regions(text: str) -> list[dict[str, str]]:
    """The regions of an SFZ file, with what their group and the global header say."""
    found: list[dict[str, str]] = []
    inherited: dict[str, dict[str, str]] = {"global": {}, "group": {}}
    for header, body in re.findall(r"<(\w+)>([^<]*)", re.sub(r"//.*", "", text)):
        opcodes = dict(re.findall(r"(\w+)=(\S+)", body))
        assert opcodes.keys() <= OPCODES
        if header == "region":
            found.append(inherited["global"] | inherited["group"] | opcodes)
        else:
            inherited[header] = opcodes
    return found


def region_of(text: str, key: int, velocity: int) -> dict[str, str]:
    """The one region that plays a key at a velocity."""
    (fitting,) = (
        one
        for one in regions(text)
        if int(one["lokey"]) <= key <= int(one["hikey"])
        and int(one["lovel"]) <= velocity <= int(one["hivel"])
    )
    return fitting


def sampler(path: Path, key: int, velocity: int) -> np.ndarray:
    """What a sampler plays of a key that has a sample: amplitudes follow (velocity / 127)²."""
    region = region_of(path.read_text(), key, velocity)
    assert int(region["pitch_keycenter"]) == key
    audio, _ = soundfile.read(path.parent / region["sample"])
    return 10 ** (float(region["volume"]) / 20) * (velocity / 127) ** 2 * audio


def strongest_hz(audio: np.ndarray, rate: int, near_hz: float) -> float:
    """The strongest frequency within a semitone of one."""
    size = 1 << 20
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), size))
    hz = np.arange(len(spectrum)) * rate / size
    close = np.abs(12 * np.log2(np.maximum(hz, 1) / near_hz)) < 1
    return float(hz[close][spectrum[close].argmax()])


def level_db(audio: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(audio.astype(np.float64)))))


class Organ(NamedTuple):
    path: Path
    synthesizer: Synthesizer


@pytest.fixture(scope="module")
def organ(tmp_path_factory: pytest.TempPathFactory) -> Organ:
    """Three keys of the shipped model's organ."""
    synthesizer = Synthesizer.load("mel2mel", threads=1)
    folder = tmp_path_factory.mktemp("sampled") / "organ"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("timbrel.sampled.natural_range", lambda _: (KEYS[0], KEYS[-1] + 3))
        path = write_sampled(synthesizer, "church organ", folder)
    assert path == folder / "church-organ.sfz"
    return Organ(path, synthesizer)


def test_each_key_and_velocity_has_one_region(organ: Organ) -> None:
    text = organ.path.read_text()
    assert len(regions(text)) == len(KEYS) * len(VELOCITIES)
    for velocity in range(1, 128):
        for key in range(128):
            centre = int(region_of(text, key, velocity)["pitch_keycenter"])
            assert centre == min(KEYS, key=lambda k: (abs(k - key), k))
    files = {str(file.relative_to(organ.path.parent)) for file in organ.path.parent.rglob("*.wav")}
    assert files == {region["sample"] for region in regions(text)}


@pytest.mark.parametrize("key", KEYS)
def test_samples_are_in_tune(organ: Organ, key: int) -> None:
    expected = 440 * 2 ** ((key - 69) / 12)
    found = strongest_hz(sampler(organ.path, key, 76), organ.synthesizer.sample_rate, expected)
    assert abs(1200 * np.log2(found / expected)) < 5


def test_a_sampler_plays_them_as_loud_as_the_model(organ: Organ) -> None:
    rate, notes = organ.synthesizer.sample_rate, []
    for i, velocity in enumerate(VELOCITIES):
        notes.append(Note(52, velocity, 10.0 * i, 10.0 * i + 2.0))
    made = organ.synthesizer.render(
        Score((Track("", 19, 0, tuple(notes)),)),
        timbre="church organ",
        channels=1,
        normalize=False,
        dry=True,
    )[:, 0]
    differences = [
        level_db(made[round(n.start_s * rate) :][: 2 * rate])
        - level_db(sampler(organ.path, 52, n.velocity)[: 2 * rate])
        for n in notes
    ]
    # They differ by one gain for all, which the sampler's own volume makes good.
    np.testing.assert_allclose(differences, np.mean(differences), atol=0.5)
    assert max(float(region["volume"]) for region in regions(organ.path.read_text())) == 0


def test_a_sound_that_lasts_is_looped_without_a_click(organ: Organ) -> None:
    region = region_of(organ.path.read_text(), 52, 112)
    assert region["loop_mode"] == "loop_continuous"
    audio, rate = soundfile.read(organ.path.parent / region["sample"])
    start, end = int(region["loop_start"]), int(region["loop_end"])
    assert (end, rate) == (len(audio) - 1, organ.synthesizer.sample_rate)
    steps = np.abs(np.diff(audio))
    assert abs(audio[start] - audio[end]) <= steps[start:end].max()
    period = rate / (440 * 2 ** ((52 - 69) / 12))
    assert abs((end + 1 - start) / period - round((end + 1 - start) / period)) < 0.01


def test_a_kit_has_a_region_for_each_of_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesizer = Synthesizer.load("mel2mel-studio", threads=1)
    kit = next(one for one in synthesizer.instruments if one.is_kit)
    few = replace(kit, keys=kit.keys[:2])
    monkeypatch.setattr("timbrel.sampled.nearest_known", lambda *_: few)
    path = write_sampled(synthesizer, kit.name, tmp_path / "kit", name="my kit")
    assert path.name == "my-kit.sfz"
    found = regions(path.read_text())
    assert {(int(one["lokey"]), int(one["hikey"])) for one in found} == {(k, k) for k in few.keys}
    assert {(one["loop_mode"], one["pitch_keytrack"]) for one in found} == {("one_shot", "0")}


def test_volumes_follow_the_levels_of_the_samples() -> None:
    loud, soft = np.full(9, 0.5, np.float32), np.full(9, 0.05, np.float32)
    samples = [Sample(60, 112, loud, None, 0.1), Sample(60, 40, soft, (3, 8), 0.1)]
    found = {one["hivel"]: one for one in regions(sfz_text(samples, kit=False, title="a\nb"))}
    assert len(found) == 2
    volumes = sorted(float(one["volume"]) for one in found.values())
    law_db = 40 * np.log10(112 / 40)
    np.testing.assert_allclose(volumes, [-abs(law_db - 20), 0.0], atol=0.01)


def test_a_folder_that_holds_something_is_left_alone(organ: Organ, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="is not empty; give --force"):
        write_sampled(organ.synthesizer, "church organ", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_path_is_refused_and_nothing_written(organ: Organ, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name a timbre that stays"):
        write_sampled(organ.synthesizer, "0s harp; 1s trumpet", tmp_path / "way")
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_nothing_behind(
    organ: Organ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr("timbrel.sampled.natural_range", lambda _: (60, 60))
    monkeypatch.setattr("timbrel.sampled.AudioWriter.write", full)
    with pytest.raises(OutputError, match="full"):
        write_sampled(organ.synthesizer, "vibraphone", tmp_path / "new")
    assert not list(tmp_path.iterdir())
