"""Write a man page for the program and each of its commands, from their help.

    python tools/make_man_pages.py build/man

Then ``man -l build/man/timbrel-render.1`` shows one; installers put them into ``share/man/man1``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from typer.main import get_command

from timbrel import __version__
from timbrel.commands.app import app
from timbrel.commands.examples import EXAMPLES

_ARGUMENTS, _OTHERS = "Arguments", "Options"


def man_pages() -> dict[str, str]:
    """The pages by the names of their files."""
    found: dict[str, str] = {}
    _add_pages(get_command(app), "timbrel", None, found)
    return found


def _add_pages(command: Any, name: str, above: Any, found: dict[str, str]) -> None:
    context = command.context_class(command, parent=above, info_name=name)
    found[f"{context.command_path.replace(' ', '-')}.1"] = _page(command, context)
    for part_name, part in getattr(command, "commands", {}).items():
        _add_pages(part, part_name, context, found)


def _page(command: Any, context: Any) -> str:
    path = context.command_path
    parts = getattr(command, "commands", {})
    dashed = path.replace(" ", "-")
    summary, *more = _paragraphs(command.help)
    lines = [
        f'.TH "{_escaped(dashed.upper())}" "1" "" "Timbrel {_escaped(__version__)}" "Timbrel"',
        *(".SH NAME", f"{_escaped(dashed)} \\- {_escaped(summary.rstrip('.'))}"),
        *(".SH SYNOPSIS", _text(" ".join(command.get_usage(context).split()[1:]))),
        *(".SH DESCRIPTION", _text(summary)),
    ]
    for paragraph in more:
        lines += [".PP", _text(paragraph)]
    for panel, parameters in _by_panel(command.get_params(context)).items():
        lines.append(f'.SH "{_escaped(panel.upper())}"')
        for parameter in parameters:
            spelt, text = parameter.get_help_record(context)
            lines += [".TP", f".B {_escaped(spelt)}", _text(text)]
    if parts:
        lines.append(".SH COMMANDS")
    for name, part in parts.items():
        lines += [
            ".TP",
            f".BR {_escaped(f'{dashed}-{name}')} (1)",
            _text(_paragraphs(part.help)[0]),
        ]
    if examples := EXAMPLES.get(path.removeprefix("timbrel").strip()):
        lines += [".SH EXAMPLES", ".nf", *map(_text, examples), ".fi"]
    if path != "timbrel":
        above = path.rpartition(" ")[0].replace(" ", "-")
        lines += [".SH SEE ALSO", f".BR {_escaped(above)} (1)"]
    return "\n".join(lines) + "\n"


def _by_panel(parameters: list[Any]) -> dict[str, list[Any]]:
    """Parameters by the groups of the help: arguments first, options without a group last."""
    groups: dict[str, list[Any]] = {_ARGUMENTS: []}
    others = []
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            groups[_ARGUMENTS].append(parameter)
        elif panel := getattr(parameter, "rich_help_panel", None):
            groups.setdefault(panel, []).append(parameter)
        else:
            others.append(parameter)
    return {panel: some for panel, some in [*groups.items(), (_OTHERS, others)] if some}


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split("\n\n")]


def _text(text: str) -> str:
    """A line of text that is no command of troff, whatever it begins with."""
    return "\\&" + _escaped(" ".join(text.split()))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in man_pages().items():
        (folder / name).write_text(page, encoding="utf-8")
    print(f"{folder}: {len(man_pages())} man pages")
