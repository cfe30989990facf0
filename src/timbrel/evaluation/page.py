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
from timbrel.evaluation.glossary import GLOSSARY, find_term
from timbrel.evaluation.measuring import sound
from timbrel.evaluation.run import Evaluation
from timbrel.evaluation.summary import summary
from timbrel.evaluation.tables import Table, all_tables, introduction
from timbrel.files import read_text

TEMPLATE_FILE = Path(__file__).parent / "report_template.html"
CLIP_S = 6.0


def html(evaluation: Evaluation, pictures: Sequence[Picture]) -> str:
    """The page: summary, clips that can be switched while they play, tables, pictures, terms."""
    parts = {
        "SUMMARY": "".join(f"<li>{_text(line)}</li>" for line in summary(evaluation.results)),
        "INTRODUCTION": "".join(f"<p>{_text(x)}</p>" for x in introduction(evaluation.results)),
        "CLIPS": json.dumps(_clips(evaluation), ensure_ascii=False).replace("</", "<\\/"),
        "TABLES": "".join(_table(table) for table in all_tables(evaluation.results)),
        "PICTURES": "".join(_picture(picture) for picture in pictures),
        "GLOSSARY": "".join(
            f'<dt id="{term.anchor}">{_text(term.name)}</dt><dd>{_text(term.text)}</dd>'
            for term in GLOSSARY
        ),
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
    head = "".join(f'<th scope="col">{_defined(cell)}</th>' for cell in table.header)
    rows = "".join(
        f'<tr><th scope="row">{_text(row[0])}</th>'
        + "".join(f"<td>{_text(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    notes = "".join(f"<p>{_text(note)}</p>" for note in table.notes)
    title = _defined(table.title, table.term)
    return (
        f'<{tag}>{title}</{tag}>{notes}<div class="wide"><table><thead><tr>{head}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _picture(picture: Picture) -> str:
    kind = "svg+xml" if picture.suffix == "svg" else picture.suffix
    light, dark = (
        f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
        for content in (picture.content, picture.dark)
    )
    return (
        f"<figure><h3>{_text(picture.title)}</h3><picture>"
        f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{_text(picture.title)}"></picture>'
        f"<figcaption>{_text(picture.caption)}</figcaption></figure>"
    )


def _defined(words: str, name: str = "") -> str:
    """Words, linked to the definition of a term or of themselves where there is one."""
    term = find_term(name or words)
    return f'<a href="#{term.anchor}">{_text(words)}</a>' if term else _text(words)


def _text(markdown: str) -> str:
    """Escaped, with the little Markdown that the tables use."""
    text = escaping.escape(markdown)
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    text = re.sub(r"\*(\w.*?)\*(?!\w)", r"<i>\1</i>", text)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", text)
