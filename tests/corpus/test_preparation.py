"""`timbrel prepare`: from MIDI files to rendered training data."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import pytest
import soundfile

from conftest import EXAMPLES
from support.small_data import (
    ATTRIBUTION,
    LICENSE,
    SPLITS,
    TWO_INSTRUMENTS,
    kill_at_once,
    run_timbrel,
    start_timbrel,
)
from support.small_soundfont import SmallPreset, write_soundfont
from timbrel.corpus import parallel, preparation
from timbrel.corpus.preparation import (
    Settings,
    manifest_sha256,
    prepare,
    read_clip,
    read_data,
)
from timbrel.corpus.presets import Preset
from timbrel.corpus.selection import Amount, find_midi_files, listed_splits
from timbrel.corpus.soundfont import REFERENCE_GAIN
from timbrel.corpus.sounds import Sound
from timbrel.errors import InputError, MissingToolError
from timbrel.score.midi import read_midi

THREE_PRESETS = [
    SmallPreset(str(program), program, 0, [(0, 127)]) for program in (*TWO_INSTRUMENTS.values(), 46)
]


def contents(folder: Path) -> dict[str, bytes]:
    """What all files of prepared data hold, apart from cached mels."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "mel" not in path.relative_to(folder).parts
    }


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Play a click in place of FluidSynth's sound; counts what is rendered with the final gain.

    For tests of what is chosen, which would take minutes otherwise.
    """
    rendered: Counter[str] = Counter()

    def clicks(parts: list, soundfont: Path, *, sample_rate: int, gain: float):  # noqa: ARG001
        audio = np.zeros(sample_rate // 10, np.float32)
        audio[10] = gain
        rendered["peaks" if gain == REFERENCE_GAIN else "clips"] += len(parts)
        return [audio for _ in parts]

    def unheard(presets: list[Preset], soundfont: Path) -> list[Sound]:  # noqa: ARG001
        return [Sound(*preset[:3], "silent", 0.0, ()) for preset in presets]

    monkeypatch.setattr(preparation, "render_parts", clicks)
    monkeypatch.setattr(preparation, "measure_sounds", unheard)
    return rendered


@pytest.fixture
def prepare_small(small_midis: Path, soundfont: Path, tmp_path: Path) -> Callable[..., Settings]:
    """Prepare a few short files, two instruments each, into the folder "data"."""

    def run(**options: Any) -> Settings:
        given = {
            "soundfont": soundfont,
            "instruments": TWO_INSTRUMENTS,
            "splits": small_midis / "splits.csv",
            "license": LICENSE,
            "attribution": ATTRIBUTION,
        }
        return prepare(small_midis, tmp_path / "data", **given | options)

    return run


@pytest.fixture
def midis(tmp_path: Path) -> Path:
    """Two composers with eight files each, ten works in folders, twenty files that lie alone."""
    folder = tmp_path / "midis"
    for name in (
        *(f"composer{c}/piece{p}.mid" for c in (1, 2) for p in range(8)),
        *(f"works/{w}/{part}.midi" for w in range(10) for part in "ab"),
        *(f"single{s}.mid" for s in range(20)),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / "duet.mid", folder / name)
    return folder


def test_manifest_lists_each_score_in_each_instrument(small_data: Path, soundfont: Path) -> None:
    settings, clips = read_data(small_data)
    assert settings.sample_rate == 16_000
    assert settings.instruments == TWO_INSTRUMENTS
    assert settings.soundfont == soundfont.name
    assert settings.soundfont_sha256 == hashlib.sha256(soundfont.read_bytes()).hexdigest()
    rendered = [name for name, split in SPLITS.items() if split in ("train", "valid")]
    assert [(c.split, c.instrument, c.midi) for c in clips] == sorted(
        (SPLITS[name], instrument, name) for name in rendered for instrument in TWO_INSTRUMENTS
    )
    assert {(c.instrument, c.program) for c in clips} == set(TWO_INSTRUMENTS.items())


def test_manifest_tells_the_truth_of_each_clip(small_data: Path, small_midis: Path) -> None:
    for clip in read_data(small_data)[1]:
        path = small_data / clip.audio
        assert hashlib.sha256(path.read_bytes()).hexdigest() == clip.audio_sha256
        midi = (small_midis / clip.midi).read_bytes()
        assert hashlib.sha256(midi).hexdigest() == clip.midi_sha256
        assert (small_data / "midi" / clip.midi).read_bytes() == midi
        info = soundfile.info(path)
        assert (info.format, info.subtype, info.channels) == ("FLAC", "PCM_16", 1)
        assert info.samplerate == 16_000
        assert info.frames == clip.n_samples
        score = read_midi(small_midis / clip.midi)
        assert clip.n_samples == round((score.duration_s + 3.0) * 16_000)
        audio = read_clip(small_data, clip)
        assert audio.dtype == np.float32
        assert np.abs(audio).max() == pytest.approx(min(clip.peak, 1), abs=1e-4)
        assert clip.clipped == (0 if clip.peak <= 1 else clip.clipped)


def test_gain_puts_the_loudest_of_valid_at_minus_3_db(small_data: Path) -> None:
    settings, clips = read_data(small_data)
    peaks = [clip.peak for clip in clips if clip.split == "valid"]
    assert 20 * np.log10(max(peaks)) == pytest.approx(-3.0, abs=0.02)
    assert min(peaks) < max(peaks)  # one gain for all: instruments keep their own loudness
    assert settings.gain == round(settings.gain, 4)


def test_gain_may_be_given(
    small_data: Path,
    tmp_path: Path,
    quick: Counter[str],
    prepare_small: Callable[..., Settings],
) -> None:
    assert prepare_small(gain=0.125, jobs=1).gain == 0.125
    assert quick["peaks"] == 0  # nothing was rendered to find one
    assert {clip.peak for clip in read_data(tmp_path / "data")[1]} == {0.125}
    with pytest.raises(InputError, match="gain"):
        prepare_small(gain=0.25, jobs=1)
    assert prepare_small(jobs=1).gain == 0.125  # gone on with
    assert read_data(small_data)[0].gain != 0.125


def test_24_bits_are_finer_than_16(
    small_data: Path, tmp_path: Path, prepare_small: Callable[..., Settings]
) -> None:
    settings, _ = read_data(small_data)
    assert settings.bit_depth == "16"
    assert prepare_small(bit_depth="24", jobs=2).bit_depth == "24"
    coarse, fine = (read_data(folder)[1] for folder in (small_data, tmp_path / "data"))
    for a, b in zip(coarse, fine, strict=True):
        assert soundfile.info(tmp_path / "data" / b.audio).subtype == "PCM_24"
        difference = read_clip(small_data, a) - read_clip(tmp_path / "data", b)
        assert 1e-6 < np.abs(difference).max() < 1.01 / 2**15
    with pytest.raises(InputError, match=r"another bit_depth \(24, not 16\)"):
        prepare_small(bit_depth="16")


def test_another_bit_depth_is_refused_before_anything_is_written(
    tmp_path: Path, prepare_small: Callable[..., Settings]
) -> None:
    with pytest.raises(InputError, match="bit_depth must be 16 or 24, not '32f'"):
        prepare_small(bit_depth="32f")
    assert not (tmp_path / "data").exists()


def test_manifest_hash_is_that_of_the_file(small_data: Path) -> None:
    expected = hashlib.sha256((small_data / "manifest.jsonl").read_bytes()).hexdigest()
    assert manifest_sha256(small_data) == expected


def test_nothing_else_is_left_in_the_folder(small_data: Path) -> None:
    names = set(contents(small_data))
    clips = read_data(small_data)[1]
    listed = {"data.json", "instruments.json", "manifest.jsonl", *(clip.audio for clip in clips)}
    listed |= {f"midi/{clip.midi}" for clip in clips}
    listed |= {clip.audio.replace(".flac", ".json") for clip in clips}
    assert names == listed


def test_killed_and_resumed_gives_what_an_undisturbed_run_gives(
    small_data: Path, small_midis: Path, soundfont: Path, tmp_path: Path
) -> None:
    output = tmp_path / "data"
    arguments = ["prepare", small_midis, "--soundfont", soundfont, "-o", output]
    arguments += ["--instruments", "two", "--splits", small_midis / "splits.csv", "--jobs", 2]
    arguments += ["--license", LICENSE, "--attribution", ATTRIBUTION]
    process = start_timbrel(*arguments)
    deadline = time.monotonic() + 600
    while not (output / "data.json").exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    kill_at_once(process)
    assert not (output / "manifest.jsonl").exists()
    # Some clips are there, others are not.
    for clip in read_data(small_data)[1][:2]:
        for name in (clip.audio, clip.audio.replace(".flac", ".json")):
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(small_data / name, output / name)
    with pytest.raises(InputError, match=r"not finished training data \(manifest\.jsonl"):
        read_data(output)

    code, said = run_timbrel(*arguments)
    assert code == 2
    assert "give --resume" in said
    code, said = run_timbrel(*arguments, "--resume")
    assert code == 0, said
    made, undisturbed = contents(output), contents(small_data)
    for name, content in undisturbed.items():
        assert made[name] == content, name
    # What was being written when it was killed may be left, under hidden names.
    assert all(Path(name).name.startswith(".") for name in made.keys() - undisturbed.keys())


def test_workers_of_a_dask_cluster_give_the_same_manifest(
    small_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prepare_small: Callable[..., Settings],
) -> None:
    def not_here(*_: object, **__: object) -> None:
        raise AssertionError("rendered by this process")

    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster:
        # The workers are processes that have started with the module as it is.
        monkeypatch.setattr(preparation, "render_parts", not_here)
        prepare_small(scheduler=cluster.scheduler_address)
    assert contents(tmp_path / "data") == contents(small_data)
    with pytest.raises(ValueError, match="No global client"):
        distributed.get_client()  # none is left connected


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere"])
def test_scheduler_that_does_not_answer_is_named(
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prepare_small: Callable[..., Settings],
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(parallel, "_SCHEDULER_TIMEOUT_S", 0.3)
    with pytest.raises(InputError, match=f"{address}: no Dask scheduler answers there"):
        prepare_small(scheduler=address)
    assert not (tmp_path / "data").exists()  # the right address needs no --resume then


def test_missing_dask_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, prepare_small: Callable[..., Settings]
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingToolError, match=r"pip install 'timbrel\[cluster\]'"):
        prepare_small(scheduler="tcp://127.0.0.1:1")


def test_second_run_renders_nothing_again(
    quick: Counter[str], tmp_path: Path, prepare_small: Callable[..., Settings]
) -> None:
    def run() -> dict[str, bytes]:
        prepare_small(jobs=1)
        return contents(tmp_path / "data")

    first = run()
    assert quick == {"peaks": 2, "clips": 6}
    assert run() == first
    assert quick == {"peaks": 2, "clips": 6}
    (tmp_path / "data/audio/trumpet/duet/c.flac").unlink()
    assert run() == first
    # FluidSynth plays all six in one go, so that each sounds as it did.
    assert quick == {"peaks": 2, "clips": 12}


@pytest.mark.usefixtures("quick")
def test_what_is_said_of_the_licence_stays_until_something_else_is_said(
    tmp_path: Path, prepare_small: Callable[..., Settings]
) -> None:
    def said(**statement: str) -> tuple[str, str]:
        settings = prepare_small(jobs=1, **statement)
        assert read_data(tmp_path / "data")[0] == settings
        return settings.license, settings.attribution

    assert said() == (LICENSE, ATTRIBUTION)
    assert said(license="CC BY 4.0", attribution="By someone.") == ("CC BY 4.0", "By someone.")
    assert said(license=None, attribution=None) == ("CC BY 4.0", "By someone.")


@pytest.mark.usefixtures("quick")
def test_other_settings_are_refused(small_midis: Path, soundfont: Path, tmp_path: Path) -> None:
    given = {
        "soundfont": soundfont,
        "instruments": TWO_INSTRUMENTS,
        "splits": small_midis / "splits.csv",
        "jobs": 1,
    }
    prepare(small_midis, tmp_path / "data", **given)
    before = contents(tmp_path / "data")
    other_soundfont = write_soundfont(tmp_path / "other.sf2", THREE_PRESETS)
    for change, message in (
        ({"sample_rate": 48_000}, r"another sample_rate \(16000, not 48000\)"),
        ({"instruments": {"harp": 46}}, "another instruments"),
        ({"soundfont": other_soundfont}, r"another soundfont \(.*, not other\.sf2\)"),
    ):
        with pytest.raises(InputError, match=message):
            prepare(small_midis, tmp_path / "data", **(given | change))
    changed = tmp_path / "changed"
    shutil.copytree(small_midis, changed)
    shutil.copy(EXAMPLES / "duet.mid", changed / "prelude/a.mid")
    with pytest.raises(InputError, match=r"holds data of another prelude/a\.mid"):
        prepare(changed, tmp_path / "data", **given)
    assert contents(tmp_path / "data") == before


def test_gain_is_chosen_anew_for_another_soundfont(
    quick: Counter[str], small_midis: Path, soundfont: Path, tmp_path: Path
) -> None:
    """Also where a run with the first SoundFont was killed before the gain was written down."""
    output = tmp_path / "data"
    given = {"instruments": {"harp": 46}, "splits": small_midis / "splits.csv", "jobs": 1}

    def kill(items: object, total: float, label: str):  # noqa: ARG001
        yield from items
        if label == "choosing the gain":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(small_midis, output, soundfont=soundfont, progress=kill, **given)
    assert not (output / "data.json").exists()
    assert quick == {"peaks": 1}
    other = write_soundfont(tmp_path / "other.sf2", THREE_PRESETS)
    prepare(small_midis, output, soundfont=other, **given)
    assert quick["peaks"] == 2


def test_other_splits_move_clips_without_rendering_them_again(
    quick: Counter[str], tmp_path: Path, prepare_small: Callable[..., Settings]
) -> None:
    splits = tmp_path / "splits.csv"

    def run(rows: str) -> dict[str, str]:
        splits.write_text("file,split\n" + rows)
        prepare_small(instruments={"harp": 46}, splits=splits, jobs=1)
        return {clip.midi: clip.split for clip in read_data(tmp_path / "data")[1]}

    first = run("prelude/a.mid,train\nprelude/b.mid,train\nduet/c.mid,valid\n")
    assert first == {"prelude/a.mid": "train", "prelude/b.mid": "train", "duet/c.mid": "valid"}
    second = run("prelude/a.mid,valid\nprelude/b.mid,test\nduet/c.mid,train\n")
    assert second == {"prelude/a.mid": "valid", "duet/c.mid": "train"}
    assert quick["clips"] == 3


def test_only_train_and_valid_of_the_list_are_touched(
    quick: Counter[str], tmp_path: Path, prepare_small: Callable[..., Settings]
) -> None:
    prepare_small(jobs=1)
    assert quick["clips"] == 6
    assert find_midi_files(tmp_path / "data" / "midi") == [
        "duet/c.mid",
        "prelude/a.mid",
        "prelude/b.mid",
    ]
    assert not [name for name in contents(tmp_path / "data") if "/d." in name or "/e." in name]


def test_works_are_never_divided(
    quick: Counter[str], midis: Path, soundfont: Path, tmp_path: Path
) -> None:
    prepare(midis, tmp_path / "data", soundfont=soundfont, instruments={"harp": 46}, jobs=1)
    clips = read_data(tmp_path / "data")[1]
    assert len(clips) == quick["clips"] == 16 + 20 + 20
    splits: dict[str, set[str]] = {}
    for clip in clips:
        folder = str(Path(clip.midi).parent)
        splits.setdefault(clip.midi if folder == "." else folder, set()).add(clip.split)
    assert len(splits) == 2 + 10 + 20
    assert all(len(found) == 1 for found in splits.values())
    assert {"train"} in splits.values()
    assert {"valid"} in splits.values()


def test_minutes_limit_the_training_audio_of_each_instrument(
    quick: Counter[str], midis: Path, soundfont: Path, tmp_path: Path
) -> None:
    prepare(
        midis,
        tmp_path / "data",
        soundfont=soundfont,
        instruments=TWO_INSTRUMENTS,
        amount=Amount(minutes_per_instrument=5),
        jobs=1,
    )
    clips = read_data(tmp_path / "data")[1]
    chosen = {
        instrument: {c.midi for c in clips if (c.instrument, c.split) == (instrument, "train")}
        for instrument in TWO_INSTRUMENTS
    }
    # Each file lasts 39.8 s: the eighth passes five minutes.
    assert [len(names) for names in chosen.values()] == [8, 8]
    assert chosen["grand piano"] != chosen["trumpet"]  # drawn for each anew
    valid = Counter(clip.midi for clip in clips if clip.split == "valid")
    assert valid
    assert set(valid.values()) == {2}  # the limit does not touch validation
    assert quick["clips"] == len(clips)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,split\na.mid,train\n", "has no column 'file'"),
        ("file,part\na.mid,train\n", "has no column 'split'"),
        ("file,split\nnone.mid,train\n", r"lists none\.mid, which is not in"),
        ("file,split\nprelude/a.mid,train\n", "1 and 0 found"),
        ("file,split\nprelude/a.mid,train\nprelude/a.mid,test\n", "lists prelude/a.mid twice"),
        ("file,split\n\udce9tude.mid,train\n", r"is not text in UTF-8 \(line 2\); save it as"),
    ],
)
def test_lists_of_splits_that_do_not_fit_are_refused(
    content: str, message: str, tmp_path: Path, prepare_small: Callable[..., Settings]
) -> None:
    (tmp_path / "splits.csv").write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError, match=message):
        prepare_small(splits=tmp_path / "splits.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_lists_of_splits_are_read_as_spreadsheets_write_them(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "splits.csv"
    path.write_text("file;split\r\nétude.mid;train\r\nc.mid;valid\r\n", encoding=encoding)
    assert listed_splits(path) == {"étude.mid": "train", "c.mid": "valid"}


def test_list_of_splits_that_is_missing_is_named(
    tmp_path: Path, prepare_small: Callable[..., Settings]
) -> None:
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        prepare_small(splits=tmp_path / "none.csv")


def test_scores_that_would_share_an_audio_file_are_refused(
    small_midis: Path, soundfont: Path, tmp_path: Path
) -> None:
    midis = tmp_path / "midis"
    shutil.copytree(small_midis, midis)
    shutil.copy(midis / "prelude/a.mid", midis / "prelude/a.midi")
    (midis / "splits.csv").write_text(
        "file,split\nprelude/a.mid,train\nprelude/a.midi,train\nduet/c.mid,valid\n"
    )
    with pytest.raises(InputError, match=r"prelude/a\.mid and prelude/a\.midi would become"):
        prepare(
            midis,
            tmp_path / "data",
            soundfont=soundfont,
            instruments=TWO_INSTRUMENTS,
            splits=midis / "splits.csv",
        )


def test_scores_without_a_sound_cannot_set_the_gain(
    monkeypatch: pytest.MonkeyPatch, prepare_small: Callable[..., Settings]
) -> None:
    silence = np.zeros(1600, np.float32)
    monkeypatch.setattr(preparation, "render_parts", lambda parts, *_, **__: [silence] * len(parts))
    with pytest.raises(InputError, match="validation make no sound"):
        prepare_small(jobs=1)


@pytest.mark.parametrize(
    ("folder", "message"), [("none", "is not a folder"), ("empty", r"no MIDI files \(\.mid, ")]
)
def test_folders_without_midi_files_are_refused(
    folder: str, message: str, soundfont: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        prepare(
            tmp_path / folder, tmp_path / "data", soundfont=soundfont, instruments=TWO_INSTRUMENTS
        )


def test_midi_files_are_found_in_subfolders_whatever_the_case(tmp_path: Path) -> None:
    for name in ("b.MID", "a/x.midi", "a/y.kar", "c.rmi", "d.txt", "a/z.mid.bak"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_midi_files(tmp_path) == ["a/x.midi", "a/y.kar", "b.MID", "c.rmi"]


def test_damaged_data_is_refused(small_data: Path, tmp_path: Path) -> None:
    for name in ("data.json", "manifest.jsonl"):
        shutil.copy(small_data / name, tmp_path)
    settings, clips = read_data(tmp_path)
    assert len(clips) == 6
    lines = (tmp_path / "manifest.jsonl").read_text()
    (tmp_path / "manifest.jsonl").write_text(lines[:-20])
    with pytest.raises(InputError, match="settings or manifest are damaged"):
        read_data(tmp_path)
    (tmp_path / "manifest.jsonl").write_text(lines)
    unknown = dataclasses.asdict(settings) | {"key": 1}
    (tmp_path / "data.json").write_text(json.dumps(unknown))
    with pytest.raises(InputError, match="settings or manifest are damaged"):
        read_data(tmp_path)
    (tmp_path / "data.json").unlink()
    with pytest.raises(InputError, match=r"\(data\.json is missing\); make it with"):
        read_data(tmp_path)


def test_zero_jobs_are_refused(prepare_small: Callable[..., Settings]) -> None:
    with pytest.raises(InputError, match="jobs must be 1 or more, or -1 for one"):
        prepare_small(jobs=0)
