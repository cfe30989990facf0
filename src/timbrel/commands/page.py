"""The commands that serve or write the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timbrel.commands.options import Force
from timbrel.commands.panels import NETWORK, OUTPUT, PAGE
from timbrel.constants import DEFAULT_MODEL

PageReport = Annotated[
    Path | None,
    typer.Option(
        help="A folder that 'timbrel evaluate' wrote, whose sounds the page offers to listen to.",
        rich_help_panel=PAGE,
    ),
]
PageVocoders = Annotated[
    list[Path] | None,
    typer.Option(
        help="The bundle of a WaveNet, which the page offers for WAV files. The option "
        "may be repeated.",
        rich_help_panel=PAGE,
    ),
]

PageModel = Annotated[
    str,
    typer.Option(
        "--model",
        help="The shipped model that plays unless the listener chooses another.",
        rich_help_panel=PAGE,
    ),
]


def add_page_commands(app: typer.Typer) -> None:
    """Add `timbrel serve` and `timbrel page` to the program."""
    app.command()(serve)
    app.command()(page)


def serve(
    host: Annotated[
        str,
        typer.Option(
            help="The address to serve the page at. Browsers on other machines need HTTPS "
            "for sound.",
            rich_help_panel=NETWORK,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535,
            help="The port to serve the page at; 0 chooses a free one.",
            rich_help_panel=NETWORK,
        ),
    ] = 8765,
    open_browser: Annotated[
        bool, typer.Option("--open", help="The page is opened in a browser.", rich_help_panel=PAGE)
    ] = False,
    report: PageReport = None,
    vocoder: PageVocoders = None,
    model: PageModel = DEFAULT_MODEL,
) -> None:
    """Play in the browser: serve the page from this machine, without a network."""
    import webbrowser

    from timbrel.web.page import page_files
    from timbrel.web.server import make_server

    files = page_files(report, vocoders=vocoder or (), model=model)
    server = make_server(files, host=host, port=port)
    print(f"{server.url} is the page; stop it with Ctrl-C", flush=True)
    if open_browser:
        webbrowser.open(server.url)
    with server:
        server.serve_forever()


def page(
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="The folder that the page is written to.", rich_help_panel=OUTPUT
        ),
    ],
    report: PageReport = None,
    vocoder: PageVocoders = None,
    model: PageModel = DEFAULT_MODEL,
    force: Force = False,
) -> None:
    """Write the page as a folder for any web host."""
    from timbrel.web.page import write_page

    n_bytes = write_page(output, report=report, vocoders=vocoder or (), model=model, force=force)
    print(f"{output}: written, {n_bytes / 1e6:.1f} MB with all models")
