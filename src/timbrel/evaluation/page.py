"""report.html: the whole report in one self-contained file."""

from __future__ import annotations

import base64
import html as escaping
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import soundfile

from timbrel.constants import SAMPLE_RATE
from timbrel.evaluation.figures import Picture, chosen_clips
from timbrel.evaluation.measuring import sound
from timbrel.evaluation.run import Evaluation
from timbrel.evaluation.tables import Table, all_tables, introduction
from timbrel.files import read_text

TEMPLATE_FILE = Path(__file__).parent / "report_template.html"
CLIP_S = 6.0


def html(evaluation: Evaluation, pictures: Sequence[Picture]) -> str:
    """The page: tables, pictures, and clips that can be switched while they play."""
    parts = {
        "INTRODUCTION": "".join(f"<p>{_text(x)}</p>" for x in introduction(evaluation.results)),
        "CLIPS": json.dumps(_clips(evaluation), ensure_ascii=False).replace("</", "<\\/"),
        "TABLES": "".join(_table(table) for table in all_tables(evaluation.results)),
        "PICTURES": "".join(_picture(picture) for picture in pictures),
    }
    template = read_text(TEMPLATE_FILE)
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _clips(evaluation: Evaluation) -> list[dict]:
    """One clip of each instrument in every condition, lossless, base64."""
    clips = []
    for excerpt, instrument in chosen_clips(evaluation):
        work = evaluation.works[excerpt, instrument]
        sounds = []
        for condition in work.conditions:
            file = io.BytesIO()
            audio = sound(work, condition)[: round(CLIP_S * SAMPLE_RATE)]
            soundfile.write(file, audio, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
            data = base64.b64encode(file.getvalue()).decode()
            sounds.append({"condition": condition.name, "flac": data})
        label = f"{instrument} – {Path(excerpt.file).stem} from {excerpt.start_s:g} s"
        clips.append({"label": label, "sounds": sounds})
    return clips


def _table(table: Table) -> str:
    tag = f"h{table.level}"
    head = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in table.header)
    rows = "".join(
        f'<tr><th scope="row">{_text(row[0])}</th>'
        + "".join(f"<td>{_text(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    notes = "".join(f"<p>{_text(note)}</p>" for note in table.notes)
    return (
        f'<{tag}>{_text(table.title)}</{tag}>{notes}<div class="wide"><table><thead><tr>{head}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _picture(picture: Picture) -> str:
    kind = "svg+xml" if picture.suffix == "svg" else picture.suffix
    data = base64.b64encode(picture.content).decode()
    return (
        f"<figure><h3>{_text(picture.title)}</h3>"
        f'<img src="data:image/{kind};base64,{data}" alt="{_text(picture.title)}">'
        f"<figcaption>{_text(picture.caption)}</figcaption></figure>"
    )


def _text(markdown: str) -> str:
    """Escaped, with the little Markdown that the tables use."""
    text = escaping.escape(markdown)
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    text = re.sub(r"\*(\w.*?)\*(?!\w)", r"<i>\1</i>", text)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", text)
