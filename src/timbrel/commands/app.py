"""The program's commands; each is a few lines that call the library."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.models import CommandInfo

from timbrel import __version__
from timbrel.commands.data import add_data_commands
from timbrel.commands.engine import add_engine_commands
from timbrel.commands.evaluate import add_evaluate_commands
from timbrel.commands.examples import epilog
from timbrel.commands.fit import add_fit_command
from timbrel.commands.inspect import add_inspect_command
from timbrel.commands.notes import add_notes_commands
from timbrel.commands.page import add_page_commands
from timbrel.commands.recognise import add_recognise_command
from timbrel.commands.render import add_render_command
from timbrel.commands.timbres import add_timbres_command
from timbrel.commands.train import add_train_commands
from timbrel.commands.transcribe import add_transcribe_command
from timbrel.commands.translate import add_translate_command
from timbrel.commands.tunes import add_tunes_command

# The groups in which the help lists the commands, in the order in which a newcomer needs them.
_PANELS = {
    "Music": (
        *(
            "render",
            "serve",
            "inspect",
            "timbres",
            "fit",
            "recognise",
            "tunes",
            "transcribe",
            "translate",
            "page",
        ),
    ),
    "Single notes": ("notes",),
    "Training and measuring": ("prepare", "train", "runs", "export", "evaluate", "listen"),
    "This installation": ("info", "bench"),
}

app = typer.Typer(
    name="timbrel",
    help="Timbrel, a neural music synthesizer: MIDI in, sound out.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

add_render_command(app)
add_transcribe_command(app)
add_translate_command(app)
add_recognise_command(app)
add_inspect_command(app)
add_timbres_command(app)
add_fit_command(app)
add_tunes_command(app)
add_page_commands(app)
add_data_commands(app)
add_train_commands(app)
add_evaluate_commands(app)
add_notes_commands(app)
add_engine_commands(app)


def _complete_help(group: typer.Typer, path: str = "") -> None:
    """Give each command its examples, and each command of the program its panel."""
    panel_of = {name: panel for panel, names in _PANELS.items() for name in names}
    for command in group.registered_commands:
        name = _name_of(command)
        command.epilog = epilog(path + name)
        if not path:
            command.rich_help_panel = panel_of[name]
    for part in group.registered_groups:
        assert part.typer_instance is not None
        part.rich_help_panel = panel_of[str(part.name)]
        _complete_help(part.typer_instance, f"{part.name} ")


def _name_of(command: CommandInfo) -> str:
    assert command.callback is not None
    return command.name or command.callback.__name__


_complete_help(app)
_order = [name for names in _PANELS.values() for name in names]
app.registered_commands.sort(key=lambda command: _order.index(_name_of(command)))


@app.callback(invoke_without_command=True)
def _without_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"timbrel {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)
