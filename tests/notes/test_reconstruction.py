"""Notes through the models, a few at a time: the same sounds however the work is divided."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.notes_data import sine
from timbrel.notes import reconstruction
from timbrel.notes.codec import NoteCodec
from timbrel.notes.reconstruction import (
    Clip,
    Workers,
    codes_of_clips,
    decode_sounds,
    made_once,
)
from timbrel.notes.rendering import Sound
from timbrel.progress import silent


def test_parts_of_a_list_are_joined_in_its_order() -> None:
    def doubled(part: list[int], *, plus: int) -> list[int]:
        return [2 * number + plus for number in part]

    found = Workers(1, silent).each(doubled, list(range(100)), "doubling", plus=1)
    assert found == list(range(1, 201, 2))


def test_codes_are_kept(tiny_codec: NoteCodec, tmp_path: Path) -> None:
    clips = [Clip(tmp_path / "codes" / f"{p}.npy", sine(p, 3)[:1024]) for p in (60, 64)]
    found = codes_of_clips(clips, model=tiny_codec.bundle.path)
    for codes, clip in zip(found, clips, strict=True):
        np.testing.assert_array_equal(codes, tiny_codec.encode(clip.audio))
    np.save(clips[0].path, np.ones((2, 16), np.float32))
    again = codes_of_clips(clips, model=Path("not needed"))
    assert (again[0] == 1).all()
    np.testing.assert_array_equal(again[1], found[1])


def test_sounds_do_not_depend_on_how_they_are_divided(
    tiny_codec: NoteCodec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = np.random.default_rng(0).standard_normal((3, 1, 16)).astype(np.float32)

    def made(folder: Path) -> list[np.ndarray]:
        sounds = [Sound(folder / f"{i}.wav", some, 512) for i, some in enumerate(codes)]
        given = {"model": tiny_codec.bundle.path, "seed": 1, "temperature": 1.0}
        work = Workers(1, silent), decode_sounds
        return made_once(*work, sounds, "decoding", numbered=True, **given)

    together = made(tmp_path / "a")
    monkeypatch.setattr(reconstruction, "STREAMS", 1)
    for one, other in zip(together, made(tmp_path / "b"), strict=True):
        np.testing.assert_array_equal(one, other)
    (tmp_path / "b" / "1.wav").unlink()  # an interruption
    for one, other in zip(together, made(tmp_path / "b"), strict=True):
        np.testing.assert_array_equal(one, other)
