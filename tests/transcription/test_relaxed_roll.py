"""The relaxed roll: that of likely notes, or of the decoded ones with the gradient of those."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from timbrel.constants import LOWEST_PITCH, N_PITCHES, PERFORMANCE, PIANO
from timbrel.errors import InputError
from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.piano_roll import PianoRoll
from timbrel.transcription.decoding import Thresholds
from timbrel.transcription.relaxed_roll import RollLayout, likely_notes, relaxed_roll
from timbrel.transcription.sizes import FRAME, HEADS, OFFSET, ONSET, VELOCITY

KEY, BEGIN, END = 39, 5, 20
LAYOUT = RollLayout(PIANO, 125, 62.5)


def heard(onset: float = 6.0) -> torch.Tensor:
    """What is said of a note of velocity ½: logits, (1, 30, 88, 5)."""
    values = torch.full((1, 30, N_PITCHES, len(HEADS)), -12.0)
    values[..., VELOCITY] = 0.5
    values[0, BEGIN, KEY, ONSET] = onset
    values[0, BEGIN:END, KEY, FRAME] = 12.0
    values[0, END, KEY, OFFSET] = 12.0
    return values


@pytest.mark.parametrize(("kind", "roll"), [(PIANO, PianoRoll), (PERFORMANCE, PerformanceRoll)])
def test_of_a_note_that_is_sure_it_is_the_decoded_one(kind: str, roll: type[PianoRoll]) -> None:
    layout = RollLayout(kind, 125, 62.5)
    notes = np.array([[BEGIN / 62.5, END / 62.5, LOWEST_PITCH + KEY, 64.0]])
    found = relaxed_roll(heard(), layout, Thresholds(), decided=True)
    np.testing.assert_allclose(found[0], roll(notes, 125).window(0, 60), atol=1e-6)
    likely = relaxed_roll(heard(), layout, Thresholds(), decided=False)
    np.testing.assert_allclose(likely, found, atol=0.01)
    assert found[0, 2 * BEGIN : 2 * END].amax(dim=1).min() == pytest.approx(64 / 127)


def test_a_note_that_is_likely_counts_as_far_as_it_is_likely() -> None:
    sounding, struck = likely_notes(heard())
    np.testing.assert_allclose(sounding[0, BEGIN:END, KEY], 0.5, rtol=0.01)
    assert sounding[0, :BEGIN].max() < 1e-3
    assert sounding[0, END:].max() < 1e-3
    assert struck[0, BEGIN, KEY] == pytest.approx(0.5, rel=0.01)
    half, _ = likely_notes(heard(onset=0.0))
    np.testing.assert_allclose(half[0, BEGIN:END, KEY], 0.25, rtol=0.01)


def test_an_onset_that_is_missing_is_missed_by_the_frames_of_its_note() -> None:
    values = heard(onset=-2.0)
    values[0, END - 3, KEY, OFFSET] = -3.0  # a release that is hardly likely
    values.requires_grad_()
    roll = relaxed_roll(values, LAYOUT, Thresholds(), decided=True)
    assert roll.detach().abs().max() == 0  # it is not decoded
    roll[0, 2 * (END - 2), KEY].backward()
    gradient = values.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert gradient[0, BEGIN, KEY, ONSET] > 0.01
    assert gradient[0, BEGIN, KEY, VELOCITY] > 0.01
    assert gradient[0, END - 3, KEY, FRAME] > 0
    assert gradient[0, END - 3, KEY, OFFSET] < 0
    assert gradient[0, END:].abs().max() == 0  # what comes later
    assert gradient[0, :, KEY + 1].abs().max() == 0  # and other keys have no part in it


@pytest.mark.parametrize("rate", [100.0, 50.0, 31.25])
def test_frames_that_do_not_divide_are_refused(rate: float) -> None:
    with pytest.raises(InputError, match="must be a multiple"):
        RollLayout(PIANO, rate, 62.5)
