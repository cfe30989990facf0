"""The commands that serve or write the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timbrel.commands.options import Force

PageReport = Annotated[
    Path | None,
    typer.Option(help="A folder that 'timbrel evaluate' wrote, to listen through."),
]
PageVocoders = Annotated[
    list[Path] | None,
    typer.Option(help="A WaveNet's bundle, offered for WAV files; may be given again."),
]


def add_page_commands(app: typer.Typer) -> None:
    """Add `timbrel serve` and `timbrel page` to the program."""
    app.command()(serve)
    app.command()(page)


def serve(
    host: Annotated[
        str, typer.Option(help="Address to serve; other machines' browsers want HTTPS.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 chooses a free one.")] = 8765,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in a browser.")
    ] = False,
    report: PageReport = None,
    vocoder: PageVocoders = None,
) -> None:
    """Play in the browser: serve the page, without a network."""
    import webbrowser

    from timbrel.web.page import page_files
    from timbrel.web.server import make_server

    server = make_server(page_files(report, vocoders=vocoder or ()), host=host, port=port)
    print(f"{server.url} is the page; stop it with Ctrl-C", flush=True)
    if open_browser:
        webbrowser.open(server.url)
    with server:
        server.serve_forever()


def page(
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder.")],
    report: PageReport = None,
    vocoder: PageVocoders = None,
    force: Force = False,
) -> None:
    """Write the page as a folder for any web host."""
    from timbrel.web.page import write_page

    n_bytes = write_page(output, report=report, vocoders=vocoder or (), force=force)
    print(f"{output}: written, {n_bytes / 1e6:.1f} MB with all models")
