"""The three losses, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from timbrel.mel.losses import LOSSES, abs_loss, log_abs_loss, tanh_log_abs_loss

SOFT, LOUD = math.log(1e-5), math.log(0.1)  # the floor, and −20 dB


def value(name: str, predicted: float, true: float) -> float:
    found = LOSSES[name](torch.tensor([predicted]), torch.tensor([true]))
    assert found.shape == (1,)
    return float(found)


def test_tanh_log_abs_is_of_the_natural_logarithm() -> None:
    # tanh(¼ ln S) is (√S − 1) / (√S + 1): −0.994 at the floor, −0.520 at −20 dB. The squared
    # difference from tanh(0) = 0 shows it.
    assert math.tanh(SOFT / 4) == pytest.approx(-0.994, abs=5e-4)
    assert math.tanh(LOUD / 4) == pytest.approx(-0.520, abs=6e-4)
    assert value("tanh-log-abs", SOFT, 0.0) == pytest.approx(0.994**2, abs=1e-3)
    assert value("tanh-log-abs", LOUD, 0.0) == pytest.approx(0.5195**2, abs=1e-4)
    assert value("tanh-log-abs", SOFT, LOUD) == pytest.approx((0.9937 - 0.5195) ** 2, abs=1e-4)


def test_log_abs_is_of_the_natural_logarithm() -> None:
    assert value("log-abs", SOFT, LOUD) == pytest.approx((4 * math.log(10)) ** 2, rel=1e-5)


def test_abs_is_of_the_magnitudes() -> None:
    assert value("abs", math.log(0.5), math.log(0.2)) == pytest.approx(0.3**2, rel=1e-5)
    assert value("abs", math.log(30), math.log(20)) == pytest.approx(100, rel=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_is_an_error_of_each_element(name: str) -> None:
    torch.manual_seed(0)
    true = torch.randn(2, 3, 4) - 4
    predicted = true.clone()
    predicted[1, 2, 3] += 1
    error = LOSSES[name](predicted, true)
    assert error.shape == (2, 3, 4)
    assert error[1, 2, 3] > 0
    assert torch.count_nonzero(error) == 1


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_that_of_differences(name: str) -> None:
    torch.manual_seed(1)
    true = 2 * torch.randn(20, dtype=torch.float64) - 4
    predicted = (2 * torch.randn(20, dtype=torch.float64) - 4).requires_grad_()
    LOSSES[name](predicted, true).sum().backward()
    step = 1e-6
    with torch.no_grad():
        above = LOSSES[name](predicted + step, true)
        below = LOSSES[name](predicted - step, true)
    torch.testing.assert_close(predicted.grad, (above - below) / (2 * step), rtol=1e-5, atol=1e-8)
    assert torch.all(predicted.grad.sign() == (predicted - true).sign())


def test_abs_does_not_overflow_and_still_pulls_down() -> None:
    predicted = torch.tensor([-1e4, 9.99, 10.01, 89.0, 1e4, 1e10], requires_grad=True)
    loss = abs_loss(predicted, torch.full((6,), -3.0))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(predicted.grad).all()
    assert torch.all(predicted.grad[1:] > 0)
    assert torch.all(loss.diff()[1:] > 0)  # it grows on above the ceiling
    assert float((loss[2] / loss[1]).detach()) == pytest.approx(
        math.exp(0.04), rel=1e-3
    )  # without a step


def test_tanh_cares_less_about_what_is_hardly_heard() -> None:
    """The same six decibels weigh less near the floor; to `log-abs` they are the same."""
    six_db = math.log(2)
    soft, loud = torch.tensor([-11.0]), torch.tensor([0.0])
    near_floor = tanh_log_abs_loss(soft + six_db, soft)
    audible = tanh_log_abs_loss(loud + six_db, loud)
    assert float(audible / near_floor) > 1000
    torch.testing.assert_close(log_abs_loss(soft + six_db, soft), log_abs_loss(loud + six_db, loud))
