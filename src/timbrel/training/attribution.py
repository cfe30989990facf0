"""Whom to name for what a model was trained on."""

from __future__ import annotations


def combined(*attributions: str) -> str:
    """Attributions of several sources as one text, in their order; none is repeated.

    Parameters
    ----------
    attributions
        One text each. What another of them says, too, word for word, is left out.
    """
    kept: list[str] = []
    for i, text in enumerate(attributions):
        others = (*kept, *attributions[i + 1 :])
        if text and not any(text in other for other in others):
            kept.append(text)
    return " ".join(kept)
