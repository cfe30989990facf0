"""The report's files, and its page in a real browser."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from conftest import EXCERPTS, INSTRUMENTS
from timbrel.errors import OutputError
from timbrel.evaluation.conditions import MU_LAW, ORIGINAL
from timbrel.evaluation.figures import chosen_clips
from timbrel.evaluation.glossary import GLOSSARY, find_term
from timbrel.evaluation.listening.clips import read_clips, sound_path
from timbrel.evaluation.report import write_report
from timbrel.evaluation.run import Evaluation
from timbrel.evaluation.summary import summary
from timbrel.evaluation.tables import all_tables, markdown

CONDITIONS = [ORIGINAL, MU_LAW, "true mel, griffin-lim", "tiny, griffin-lim"]
CHROMIUM_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def folder(evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "new"
    write_report(evaluation, path)
    return path


def test_numbers_are_written(folder: Path, evaluation: Evaluation) -> None:
    results = evaluation.results
    assert json.loads((folder / "results.json").read_text()) == json.loads(
        json.dumps(results.as_dict())
    )
    assert (folder / "results.md").read_text() == markdown(results)
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(CONDITIONS) * len(EXCERPTS) * len(INSTRUMENTS)
    row = next(r for r in rows if r["condition"] == CONDITIONS[3] and r["instrument"] == "harp")
    expected = results.values["spectral_distance"][CONDITIONS[3]][0, 0]
    assert float(row["spectral_distance"]) == pytest.approx(expected, abs=1e-5)
    assert [path for path in folder.rglob("*") if path.name.startswith(".timbrel")] == []


def test_every_sound_can_be_listened_to(folder: Path, evaluation: Evaluation) -> None:
    clips = read_clips(folder)
    assert len(clips) == len(CONDITIONS) * len(EXCERPTS) * len(INSTRUMENTS)
    lengths = {clip.file: len(soundfile.read(sound_path(folder, clip))[0]) for clip in clips}
    assert lengths == {"duet.mid": 275 * 128, "prelude.mid": 250 * 128}
    # A cache within the report moves with it.
    work = next(iter(evaluation.works.values()))
    write_report(evaluation, work.cache.folder.parent)
    assert {Path(c.audio).parts[0] for c in read_clips(work.cache.folder.parent)} == {"cache"}


def test_pictures_are_drawn(folder: Path) -> None:
    names = sorted(path.name for path in (folder / "pictures").iterdir())
    assert names == [
        "between-instruments-tiny.png",
        "correlation-by-frequency.svg",
        "correlation-by-instrument.svg",
        "spectrograms.png",
        "timbre-space-tiny.png",
    ]
    for name in names:
        content = (folder / "pictures" / name).read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n" or content.startswith(b"<?xml")
        assert len(content) > 5000
    curves = (folder / "pictures/correlation-by-frequency.svg").read_text()
    for name in CONDITIONS[1:]:
        assert f"<!-- {name} -->" in curves


def test_clips_are_of_as_many_tracks_as_there_are(evaluation: Evaluation) -> None:
    assert chosen_clips(evaluation) == list(zip(EXCERPTS, INSTRUMENTS, strict=True))


def test_page_needs_nothing_else(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert "{{" not in page
    assert not re.search(r"(src|srcset|href)=\"(?!data:|#)", page)
    assert not re.search(r"https?://", re.sub(r"data:image[^\"]*", "", page))
    data = json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])
    assert [clip["label"].split(" – ")[0] for clip in data] == INSTRUMENTS
    for clip in data:
        assert [sound["condition"] for sound in clip["sounds"]] == CONDITIONS
        lengths = {
            len(soundfile.read(io.BytesIO(base64.b64decode(sound["flac"])))[0])
            for sound in clip["sounds"]
        }
        assert len(lengths) == 1


def test_conditions_can_be_switched_while_they_play(folder: Path, evaluation: Evaluation) -> None:
    """All play on together; the switch moves the gain from one to another, and nothing else."""
    gains = "playing.voices.map((voice) => voice.gain.gain.value)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS
        )
        page = browser.new_page()
        errors: list[object] = []
        page.on("pageerror", lambda error: errors.append(error))
        page.goto((folder / "report.html").as_uri())
        expect(page.locator("table")).to_have_count(len(all_tables(evaluation.results)))
        expect(page.locator("figure img")).to_have_count(5)
        assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
        page.locator("#play").click()
        page.wait_for_function("playing && context.currentTime > playing.start")
        np.testing.assert_allclose(page.evaluate(gains), [1, 0, 0, 0])
        started = page.evaluate("playing.start")
        page.keyboard.press("3")
        page.wait_for_function(f"{gains}[2] > 0.999")
        np.testing.assert_allclose(page.evaluate(gains), [0, 0, 1, 0], atol=1e-3)
        expect(page.locator("#conditions [aria-pressed=true]")).to_have_text(
            "3 true mel, griffin-lim"
        )
        page.keyboard.press("x")
        page.wait_for_function(f"{gains}[0] > 0.999")
        assert page.evaluate("playing.start") == started
        assert page.evaluate("playing.voices.every(({ source }) => source.loop)")
        page.locator("#clip").select_option("1")
        page.wait_for_function(f"playing && playing.start > {started}")
        page.locator("#play").click()
        assert page.evaluate("playing") is None
        assert errors == []
        browser.close()


def test_page_begins_with_a_summary(folder: Path, evaluation: Evaluation) -> None:
    page = (folder / "report.html").read_text()
    lines = re.findall(r"<li>(.*?)</li>", page)
    assert len(lines) == len(summary(evaluation.results))
    best = evaluation.results.pooled("tiny, griffin-lim").mean()
    assert f"<i>tiny, griffin-lim</i>, {best:.3f} [".replace("-0", "−0") in lines[1]
    assert page.index("<li>") < page.index("<table>")


def test_headings_lead_to_definitions(folder: Path, evaluation: Evaluation) -> None:
    page = (folder / "report.html").read_text()
    anchors = re.findall(r'<dt id="([^"]+)">', page)
    assert len(set(anchors)) == len(anchors) == len(GLOSSARY)
    assert set(re.findall(r'href="#(term[^"]+)"', page)) == set(anchors)
    needs_none = {"and", "instrument", *INSTRUMENTS}
    for table in all_tables(evaluation.results):
        undefined = [cell for cell in table.header if not find_term(cell)]
        assert set(undefined) <= needs_none, table.title
        assert not table.term or find_term(table.term)
        # Columns that are instruments say nothing of what was measured: the title does.
        assert table.term or not set(INSTRUMENTS) & set(table.header)


def luminance(page: Page, selector: str) -> np.ndarray:
    """Of the pixels of an element as it is shown, 0 to 255."""
    image = Image.open(io.BytesIO(page.locator(selector).first.screenshot()))
    return np.asarray(image.convert("L"), float)


def test_page_is_readable_in_both_colour_schemes(folder: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS
        )
        for scheme, paper in (("light", 255), ("dark", 20)):
            page = browser.new_page(color_scheme=scheme)
            page.goto((folder / "report.html").as_uri())
            page.wait_for_function("[...document.images].every((image) => image.complete)")
            for selector in ("#summary", "table", "figure img"):
                seen = luminance(page, selector)
                assert np.median(seen) == paper, (scheme, selector)
                # Text and lines: as far from the paper as they can be.
                assert np.abs(seen - paper).max() > 190, (scheme, selector)
            for n in range(page.locator("figure img").count()):
                edge = luminance(page, f"figure:nth-of-type({n + 1}) img")[:3]
                assert np.median(edge) == paper, (scheme, n)
        browser.close()


def test_folder_that_cannot_be_written_is_named(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("")
    with pytest.raises(OutputError, match="report: cannot be written"):
        write_report(evaluation, tmp_path / "report")
