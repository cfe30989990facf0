"""`timbrel prepare` with etudes, kits and excerpts; and `--describe` of what it made."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import mido
import numpy as np
import pytest

from support.command_line import run
from support.small_data import TWO_INSTRUMENTS
from timbrel.corpus import preparation
from timbrel.corpus.description import as_rows, describe
from timbrel.corpus.preparation import Settings, prepare, read_clip, read_data
from timbrel.corpus.presets import Preset, find_instruments
from timbrel.corpus.selection import Amount
from timbrel.corpus.sheet import Sheet
from timbrel.corpus.soundfont import REFERENCE_GAIN, as_preset, render_midi
from timbrel.errors import InputError
from timbrel.score.midi import read_midi

FLUTE = 73
SHORT = Amount(
    minutes_per_instrument=0.1,
    validation_minutes_per_instrument=0.05,
    excerpt_s=2.0,
    etudes=1,
)


@pytest.fixture(scope="module")
def three_presets(soundfont: Path) -> list[Preset]:
    """A piano, a flute and a small kit."""
    gm = {preset.name: preset for preset in find_instruments("gm", soundfont)}
    return [gm["Acoustic Grand Piano"], gm["Flute"], gm["Marching Snare Kit"]]


@pytest.fixture(scope="module")
def gm_data(
    small_midis: Path,
    soundfont: Path,
    three_presets: list[Preset],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Data of three instruments with etudes and excerpts; 24 kHz is quick to render."""
    folder = tmp_path_factory.mktemp("gm") / "data"
    prepare(
        small_midis,
        folder,
        soundfont=soundfont,
        instruments=three_presets,
        splits=small_midis / "splits.csv",
        amount=SHORT,
        sample_rate=24_000,
        jobs=1,
    )
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Play silence with a click in place of FluidSynth's sound; counts what is rendered."""
    rendered: Counter[str] = Counter()

    def clicks(parts: list, soundfont: Path, *, sample_rate: int, gain: float):  # noqa: ARG001
        rendered["peaks" if gain == REFERENCE_GAIN else "clips"] += len(parts)
        return [np.full(sample_rate // 10, gain, np.float32) for _ in parts]

    monkeypatch.setattr(preparation, "render_parts", clicks)
    monkeypatch.setattr(preparation, "measure_sounds", lambda *_: [])
    monkeypatch.setattr(preparation, "write_sounds", lambda *_: None)
    return rendered


def test_manifest_knows_program_bank_kind_and_score(
    gm_data: Path, three_presets: list[Preset]
) -> None:
    settings, clips = read_data(gm_data)
    assert settings.instruments == {p.name: p.program for p in three_presets}
    assert settings.banks == {"Marching Snare Kit": 128}
    assert settings.is_kit("Marching Snare Kit")
    assert not settings.is_kit("Flute")
    counts = Counter((clip.instrument, clip.split, clip.kind) for clip in clips)
    for name in ("Acoustic Grand Piano", "Flute"):
        # Three excerpts of two seconds are the six of a tenth of a minute; there are three in all.
        assert 1 <= counts[name, "train", "score"] <= 3
        assert counts[name, "valid", "score"] in (1, 2)
        assert counts[name, "train", "etude"] == counts[name, "valid", "etude"] == 1
    kit = {key: n for key, n in counts.items() if key[0] == "Marching Snare Kit"}
    assert kit == {("Marching Snare Kit", split, "etude"): 2 for split in ("train", "valid")}
    for clip in clips:
        assert clip.is_kit == (clip.instrument == "Marching Snare Kit") == (clip.bank == 128)
        assert (gm_data / "midi" / clip.midi).exists()


def test_audio_is_as_long_as_its_score_and_sounds(gm_data: Path) -> None:
    for clip in read_data(gm_data)[1]:
        midi = mido.MidiFile(gm_data / "midi" / clip.midi)
        assert clip.n_samples / 24_000 == pytest.approx(midi.length + 3.0, abs=2e-4)
        audio = read_clip(gm_data, clip)
        assert len(audio) == clip.n_samples
        assert np.abs(audio).max() > 0.01
        now, first = 0.0, None
        for message in midi:
            now += message.time
            if message.type == "note_on" and first is None:
                first = round(now * 24_000)
        assert np.abs(audio[: max(first - 100, 0)]).max(initial=0) < 1e-4


def test_excerpts_hold_what_sounds_in_their_window(gm_data: Path, small_midis: Path) -> None:
    excerpts = {clip.midi for clip in read_data(gm_data)[1] if clip.kind == "score"}
    assert excerpts
    for name in excerpts:
        assert name.startswith("excerpts/")
        source, _, start = name.removeprefix("excerpts/").removesuffix("s.mid").rpartition("-")
        expected = read_midi(small_midis / f"{source}.mid").excerpt(float(start), 2.0)
        found = read_midi(gm_data / "midi" / name)
        assert found.duration_s <= 2.001
        assert [(n.pitch, n.velocity) for n in found.notes] == [
            (n.pitch, n.velocity)
            for n in sorted(
                expected.notes, key=lambda n: (round(max(n.start_s, 0) * 4000), n.pitch)
            )
        ]


def test_bends_of_an_etude_are_heard(soundfont: Path) -> None:
    """A file's own events are played: up two semitones is as a note two semitones higher."""

    def played(pitch: int, reach: int, bend: float, bank: int = 0) -> np.ndarray:
        sheet = Sheet(3)
        sheet.bend_range(0.0, reach)
        sheet.bend(0.05, bend)
        sheet.note(0.1, 1.0, pitch, 100)
        midi = as_preset(sheet.midi("", 0, 8), FLUTE, bank)
        return render_midi(midi, soundfont, length=48_000, sample_rate=48_000)[12_000:40_000]

    def pitch_hz(audio: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 18))
        return float(np.argmax(spectrum[: 1 << 15])) * 48_000 / (1 << 18)

    for reach, bend in ((2, 2.0), (12, 2.0), (12, -12.0)):
        expected = 440 * 2 ** ((72 + bend - 69) / 12)
        cents = 1200 * np.log2(pitch_hz(played(72, reach, bend)) / expected)
        assert abs(cents) < 20, (reach, bend)


def test_kits_play_their_own_channel_and_instruments_the_others() -> None:
    track = mido.MidiTrack(
        [
            mido.Message("program_change", channel=0, program=5),
            mido.Message("control_change", channel=0, control=7, value=20),
            mido.Message("note_on", channel=0, note=60, velocity=90),
            mido.Message("note_on", channel=9, note=38, velocity=80),
            mido.Message("note_off", channel=9, note=38, time=480),
            mido.Message("control_change", channel=0, control=64, value=127),
            mido.Message("note_off", channel=0, note=60, time=480),
        ]
    )
    midi = mido.MidiFile(type=0, ticks_per_beat=480, tracks=[track])
    flute = [m for m in as_preset(midi, 73, 8).tracks[0] if not m.is_meta]
    assert [(m.type, m.dict().get("control")) for m in flute] == [
        *(("control_change", 0), ("program_change", None), ("note_on", None)),
        *(("control_change", 64), ("note_off", None), ("note_on", None)),
    ]
    assert (flute[0].value, flute[1].program, flute[4].time) == (8, 73, 2000)
    kit = [m for m in as_preset(midi, 48, 128).tracks[0] if not m.is_meta]
    assert [(m.type, m.channel) for m in kit[:3]] == [
        *(("program_change", 9), ("note_on", 9), ("note_off", 9)),
    ]
    assert kit[0].program == 48
    assert as_preset(midi, 73).length == pytest.approx(1.0 + 3.0)


def test_more_is_added_to_what_is_there(
    quick: Counter[str],
    small_midis: Path,
    soundfont: Path,
    three_presets: list[Preset],
    tmp_path: Path,
) -> None:
    given = {"soundfont": soundfont, "instruments": three_presets, "jobs": 1}
    prepare(None, tmp_path / "data", **given, amount=Amount(etudes=1))
    assert quick["peaks"] == 3  # one etude of each
    first = {clip.midi: clip for clip in read_data(tmp_path / "data")[1]}
    assert {clip.kind for clip in first.values()} == {"etude"}
    assert len(first) == 2 + 2 + 4
    splits = small_midis / "splits.csv"
    prepare(small_midis, tmp_path / "data", **given, splits=splits, amount=Amount(etudes=20))
    second = {clip.midi: clip for clip in read_data(tmp_path / "data")[1]}
    assert second.items() >= first.items()
    counts = Counter((clip.split, clip.instrument) for clip in second.values())
    assert counts["train", "Marching Snare Kit"] == 40
    assert counts["valid", "Marching Snare Kit"] == 4
    assert quick["peaks"] == 3


def test_both_splits_are_bounded(
    quick: Counter[str], small_midis: Path, soundfont: Path, tmp_path: Path
) -> None:
    rows = "prelude/a.mid,train\nprelude/b.mid,valid\nduet/c.mid,valid\nduet/d.mid,valid\n"
    (tmp_path / "splits.csv").write_text("file,split\n" + rows)
    prepare(
        small_midis,
        tmp_path / "data",
        soundfont=soundfont,
        instruments=TWO_INSTRUMENTS,
        splits=tmp_path / "splits.csv",
        amount=Amount(validation_minutes_per_instrument=3.0 / 60),
        jobs=1,
    )
    counts = Counter((c.instrument, c.split) for c in read_data(tmp_path / "data")[1])
    assert {counts[name, "train"] for name in TWO_INSTRUMENTS} == {1}
    assert all(counts[name, "valid"] in (1, 2) for name in TWO_INSTRUMENTS)
    assert quick["clips"] == sum(counts.values())


def test_what_does_not_go_together_is_refused(
    small_midis: Path, soundfont: Path, three_presets: list[Preset], tmp_path: Path
) -> None:
    def run(midi_dir: Path | None, amount: Amount, presets: list[Preset]) -> None:
        output = tmp_path / "data"
        prepare(midi_dir, output, soundfont=soundfont, instruments=presets, amount=amount, jobs=1)

    with pytest.raises(InputError, match=r"kits \(Marching Snare Kit …\) play etudes and single"):
        run(small_midis, Amount(), three_presets)
    with pytest.raises(InputError, match="excerpts are drawn by the minute"):
        run(small_midis, Amount(excerpt_s=5, minutes_per_instrument=1), three_presets[:1])
    with pytest.raises(InputError, match="nothing to play"):
        run(None, Amount(), three_presets[:1])
    assert not (tmp_path / "data").exists()


def test_other_etudes_are_refused(
    quick: Counter[str], soundfont: Path, three_presets: list[Preset], tmp_path: Path
) -> None:
    given = {"soundfont": soundfont, "instruments": three_presets[2:], "jobs": 1}
    prepare(None, tmp_path / "data", **given, amount=Amount(etudes=1))
    before = quick.total()
    with pytest.raises(InputError, match=r"train-001\.mid: is another score than these options"):
        prepare(None, tmp_path / "data", **given, amount=Amount(etudes=1, seed=1))
    assert quick.total() == before


def test_data_made_before_there_were_banks_are_read(small_data: Path, tmp_path: Path) -> None:
    settings, clips = read_data(small_data)
    old_settings = json.loads((small_data / "data.json").read_text())
    del old_settings["banks"]
    (tmp_path / "data.json").write_text(json.dumps(old_settings))
    with (tmp_path / "manifest.jsonl").open("w") as file:
        for line in (small_data / "manifest.jsonl").read_text().splitlines():
            row = json.loads(line)
            del row["bank"], row["kind"]
            file.write(json.dumps(row) + "\n")
    assert read_data(tmp_path) == (settings, clips)
    assert settings == Settings(**old_settings)
    assert {(clip.bank, clip.kind) for clip in clips} == {(0, "score")}


def test_description_counts_minutes_notes_and_keys(gm_data: Path) -> None:
    contents = describe(gm_data)
    clips = read_data(gm_data)[1]
    for content in contents:
        own = [clip for clip in clips if clip.instrument == content.instrument]
        for split in ("train", "valid"):
            expected = sum(c.n_samples for c in own if c.split == split) / 24_000
            assert content.seconds[split] == pytest.approx(expected)
        struck = [
            message
            for clip in own
            for message in mido.MidiFile(gm_data / "midi" / clip.midi)
            if message.type == "note_on" and message.velocity
        ]
        assert content.n_notes == len(struck)
        rows = {row["instrument"]: row for row in as_rows(contents)}
        row = rows[content.instrument]
        pitches = sorted(message.note for message in struck)
        assert row["pitch_quantiles"][0] == pitches[0]
        assert row["pitch_quantiles"][-1] == pitches[-1]
        assert row["velocity_quantiles"][-1] == max(m.velocity for m in struck)
        assert row["sound"] == ("sustained" if content.instrument == "Flute" else row["sound"])
    assert contents[2].is_kit
    assert contents[2].sound.silent_keys[:2] == (0, 1)


def test_command_line_describes_and_draws(gm_data: Path, tmp_path: Path) -> None:
    picture = tmp_path / "gm.png"
    described = run("prepare", "--describe", gm_data, "--plot", picture)
    assert described.returncode == 0, described.stderr
    assert "Marching Snare Kit" in described.stdout
    assert "128:56" in described.stdout
    assert picture.read_bytes()[:4] == b"\x89PNG"
    for arguments, words in (
        (("--describe", gm_data, "--plot", picture), "give --force"),
        (("--describe", tmp_path, "--json"), "is not finished training data"),
        ((), "give --output and --soundfont or --recordings"),
    ):
        refused = run("prepare", *arguments)
        assert refused.returncode == 2
        assert words in refused.stderr
