"""Excerpts of scores as FluidSynth plays them."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import EXAMPLES
from timbrel.bundles.bundle import Instrument
from timbrel.corpus.soundfont import render_score
from timbrel.errors import InputError
from timbrel.evaluation import originals
from timbrel.evaluation.cache import Cache
from timbrel.evaluation.originals import (
    EXCERPTS_FILE,
    PRE_ROLL_S,
    Clip,
    Excerpt,
    Original,
    choose_excerpts,
    read_excerpts,
    render_original,
)
from timbrel.geometry import MelConfig
from timbrel.score.midi import read_midi

ORGAN = Instrument("church organ", 19, (0.0, 0.0))
PIANO = Instrument("grand piano", 0, (0.0, 0.0))

# The 14 test tracks of Kim et al. (2019).
TEST_TRACKS = [
    *("alb_se6", "bach_846", "chpn-p15", "chpn_op66", "deb_clai", "elise", "liz_et3", "liz_et6"),
    *("liz_liebestraum", "muss_1", "mz_331_3", "pathetique_2", "ty_juni", "waldstein_1"),
]


def original(
    excerpt: Excerpt,
    soundfont: Path,
    cache: Path,
    *,
    midi_dir: Path = EXAMPLES,
    instrument: Instrument = PIANO,
    gain: float = 0.5,
) -> Original:
    clip = Clip(midi_dir / excerpt.file, excerpt, instrument, soundfont, MelConfig(), gain)
    return render_original(clip, Cache(cache))


def test_committed_excerpts_are_15_seconds_of_each_test_track() -> None:
    excerpts = read_excerpts()
    assert sorted(Path(excerpt.file).stem for excerpt in excerpts) == TEST_TRACKS
    assert {excerpt.duration_s for excerpt in excerpts} == {15.0}
    for excerpt in excerpts:
        assert excerpt.start_s * 125 == pytest.approx(round(excerpt.start_s * 125), abs=1e-6)
    assert EXCERPTS_FILE.name == "excerpts.csv"


def test_committed_excerpts_lie_within_test_tracks_of_the_corpus(corpus: Path) -> None:
    with (corpus / "splits.csv").open(newline="") as file:
        splits = {row["file"]: row["split"] for row in csv.DictReader(file)}
    for excerpt in read_excerpts():
        assert splits[excerpt.file] == "test"
        score = read_midi(corpus / excerpt.file)
        assert excerpt.start_s + excerpt.duration_s <= score.duration_s
        assert score.excerpt(excerpt.start_s, excerpt.duration_s).n_notes > 20


def test_excerpts_of_ones_own_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(
        'file,start_s,duration_s,why\n"a, b.mid",1.5,2,nice\nc/d.mid,0,0.5,\n'
    )
    assert read_excerpts(str(tmp_path / "mine.csv")) == [
        Excerpt("a, b.mid", 1.5, 2.0),
        Excerpt("c/d.mid", 0.0, 0.5),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,start_s\na.mid,1\n", "has no column 'duration_s'; its columns are: file, start_s"),
        ("file,start_s,duration_s\na.mid,1\n", "line 2 has no duration_s"),
        ("file,start_s,duration_s\na.mid,soon,1\n", "is not a list of excerpts .*soon"),
        ("file,start_s,duration_s\n", "lists no excerpts"),
        ("", "has no column 'file'; its columns are: none"),
        (
            "file,start_s,duration_s\na.mid,-1,2\n",
            "2 s from -1 s on, of .* is not",
        ),
        ("file,start_s,duration_s\na.mid,1,0\n", "is not a possible excerpt"),
        ("file,start_s,duration_s\na.mid,nan,1\n", "is not a possible excerpt"),
        ("file,start_s,duration_s\na.mid,1,inf\n", "is not a possible excerpt"),
    ],
)
def test_what_is_no_list_of_excerpts_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        read_excerpts(tmp_path / "list.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_lists_of_spreadsheets_are_read(encoding: str, separator: str, tmp_path: Path) -> None:
    text = "file,start_s,duration_s\nétude.mid,1.5,2\n".replace(",", separator)
    (tmp_path / "list.csv").write_text(text, encoding=encoding)
    assert read_excerpts(tmp_path / "list.csv") == [Excerpt("étude.mid", 1.5, 2.0)]
    (tmp_path / "list.csv").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"list\.csv: is not text in UTF-8 \(line 2\)"):
        read_excerpts(tmp_path / "list.csv")


def test_missing_files_are_named(tmp_path: Path, soundfont: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        read_excerpts(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"none\.mid: cannot be read"):
        original(Excerpt("none.mid", 0, 1), soundfont, tmp_path)


def test_original_is_the_span_of_the_whole(soundfont: Path, tmp_path: Path) -> None:
    """An organ's notes that were struck before the excerpt sound in it."""
    excerpt = Excerpt("duet.mid", 10.24, 2.0)
    found = original(excerpt, soundfont, tmp_path, instrument=ORGAN)
    assert found.pre_roll_s == PRE_ROLL_S
    assert found.audio.shape == (32_000,)
    whole = render_score(
        read_midi(EXAMPLES / "duet.mid").merged(), 19, soundfont, sample_rate=16_000, gain=0.5
    )
    first = round(10.24 * 16_000)
    expected = whole[first : first + 32_000]
    assert np.abs(expected).max() > 0.02
    assert np.corrcoef(found.audio, expected)[0, 1] > 0.999
    # Notes do not end with the excerpt: the last tenth of a second is as loud as it should be.
    assert np.abs(found.audio[-1600:]).max() == pytest.approx(
        np.abs(expected[-1600:]).max(), rel=0.02
    )


def test_score_begins_with_the_pre_roll(soundfont: Path, tmp_path: Path) -> None:
    excerpt = Excerpt("duet.mid", 10.24, 1.0)
    found = original(excerpt, soundfont, tmp_path)
    assert len(found.score.tracks) == 1
    whole = read_midi(EXAMPLES / "duet.mid")
    struck = [n for n in whole.notes if 10.24 <= n.start_s < 11.24]
    again = [n for n in found.score.notes if n.start_s >= PRE_ROLL_S - 1e-9]
    assert [n.pitch for n in again] == [n.pitch for n in struck]
    np.testing.assert_allclose(
        [n.start_s - PRE_ROLL_S for n in again], [n.start_s - 10.24 for n in struck], atol=1e-9
    )
    assert found.score.duration_s <= PRE_ROLL_S + 1.0 + 1e-9


@pytest.mark.parametrize(
    ("start_s", "duration_s", "pre_roll_frames", "n_frames"),
    [(0.0, 1.0, 0, 125), (0.5, 1.3, 62, 162), (0.503, 0.777, 62, 97)],
)
def test_original_near_the_beginning_is_in_whole_frames(
    start_s: float,
    duration_s: float,
    pre_roll_frames: int,
    n_frames: int,
    soundfont: Path,
    tmp_path: Path,
) -> None:
    found = original(Excerpt("prelude.mid", start_s, duration_s), soundfont, tmp_path)
    assert found.pre_roll_s * 125 == pytest.approx(pre_roll_frames, abs=1e-9)
    assert len(found.audio) == 128 * n_frames


def test_original_is_played_once(
    soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    excerpt = Excerpt("duet.mid", 1.0, 1.0)
    first = original(excerpt, soundfont, tmp_path / "cache")

    def again(*_: object, **__: object) -> np.ndarray:
        raise AssertionError("rendered again")

    monkeypatch.setattr(originals, "render_score", again)
    second = original(excerpt, soundfont, tmp_path / "cache")
    np.testing.assert_array_equal(first.audio, second.audio)
    assert first.score == second.score
    assert len(list((tmp_path / "cache").iterdir())) == 1
    # Whatever changes the sound is played anew.
    for change in (
        {"excerpt": Excerpt("duet.mid", 1.008, 1.0)},
        {"excerpt": Excerpt("duet.mid", 1.0, 1.008)},
        {"instrument": ORGAN},
        {"gain": 0.6},
    ):
        with pytest.raises(AssertionError, match="rendered again"):
            original(**({"excerpt": excerpt, "soundfont": soundfont} | change),
                     cache=tmp_path / "cache")  # fmt: skip


def test_files_of_one_name_are_told_apart(soundfont: Path, tmp_path: Path) -> None:
    for folder, example in (("a", "duet.mid"), ("b", "prelude.mid")):
        (tmp_path / folder).mkdir()
        shutil.copy(EXAMPLES / example, tmp_path / folder / "piece.mid")
    a, b = (
        original(
            Excerpt(f"{folder}/piece.mid", 2, 1), soundfont, tmp_path / "cache", midi_dir=tmp_path
        )
        for folder in "ab"
    )
    assert np.abs(a.audio - b.audio).max() > 0.01


# A track that ends at once.
SILENT = b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two pieces, one of them in a subfolder."""
    (tmp_path / "sub").mkdir()
    shutil.copy(EXAMPLES / "duet.mid", tmp_path / "duet.mid")
    shutil.copy(EXAMPLES / "prelude.mid", tmp_path / "sub" / "prelude.mid")
    (tmp_path / "splits.csv").write_text("file,split\nduet.mid,train\nsub/prelude.mid,test\n")
    (tmp_path / "list.csv").write_text("file,start_s,duration_s\nduet.mid,1,2\nduet.mid,5,2\n")
    return tmp_path


def test_one_excerpt_a_file_is_chosen(folder: Path) -> None:
    found = choose_excerpts(folder)
    assert [excerpt.file for excerpt in found] == ["duet.mid", "sub/prelude.mid"]
    for excerpt in found:
        middle = read_midi(folder / excerpt.file).duration_s / 2
        assert excerpt.duration_s == 15
        assert excerpt.start_s + 7.5 == pytest.approx(middle, abs=0.01)
        assert excerpt.start_s * 125 == pytest.approx(round(excerpt.start_s * 125), abs=1e-6)


def test_lists_and_splits_choose(folder: Path) -> None:
    listed = choose_excerpts(folder, excerpts=folder / "list.csv")
    assert listed == [Excerpt("duet.mid", 1, 2), Excerpt("duet.mid", 5, 2)]
    (test,) = choose_excerpts(folder, splits=folder / "splits.csv")
    assert test.file == "sub/prelude.mid"
    (train,) = choose_excerpts(folder, splits=folder / "splits.csv", split="train")
    assert train.file == "duet.mid"


def test_whole_tracks_are_chosen_once(folder: Path) -> None:
    (whole,) = choose_excerpts(folder, excerpts=folder / "list.csv", whole=True)
    assert whole == Excerpt("duet.mid", 0, read_midi(EXAMPLES / "duet.mid").duration_s + 3)


def test_published_tracks_are_the_default(corpus: Path) -> None:
    assert choose_excerpts(corpus) == read_excerpts()


def test_files_that_cannot_be_played_are_left_out(folder: Path) -> None:
    (folder / "duet.mid").write_text("Dear diary,")
    (folder / "silent.mid").write_bytes(SILENT)
    errors: list[InputError] = []
    (found,) = choose_excerpts(folder, skip=errors.append)
    assert found.file == "sub/prelude.mid"
    assert [str(error).removeprefix(f"{folder}/")[:22] for error in errors] == [
        "duet.mid: is not a MID",
        "silent.mid: has no not",
    ]
    with pytest.raises(InputError, match=r"duet\.mid: is not a MIDI file"):
        choose_excerpts(folder)
    with pytest.raises(InputError, match="holds no file that can be played"):
        choose_excerpts(folder, excerpts=folder / "list.csv", skip=errors.append)
    (whole,) = choose_excerpts(folder, skip=errors.append, whole=True)
    assert whole.file == "sub/prelude.mid"


def test_what_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match="none: is not a folder"):
        choose_excerpts(folder / "none")
    with pytest.raises(InputError, match=r"splits\.csv: lists no files for 'valid'"):
        choose_excerpts(folder, splits=folder / "splits.csv", split="valid")
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        choose_excerpts(folder, splits=folder / "none.csv")
    with pytest.raises(InputError, match=r"list\.csv: has no column 'split'"):
        choose_excerpts(folder, splits=folder / "list.csv")
    (folder / "duet.mid").unlink()
    with pytest.raises(InputError, match=r"lacks duet\.mid, of which an excerpt is wanted"):
        choose_excerpts(folder, excerpts=folder / "list.csv")
