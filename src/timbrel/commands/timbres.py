"""The command that lists, looks up and saves timbres."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrel.commands.options import Encoder, Force, Json, Model, Quiet
from timbrel.commands.panels import OUTPUT, SOUND
from timbrel.errors import InputError, printable
from timbrel.progress import shown

if TYPE_CHECKING:
    from timbrel.bundles.bundle import Bundle


def add_timbres_command(app: typer.Typer) -> None:
    """Add `timbrel timbres` to the program."""
    app.command()(timbres)


def timbres(
    spec: Annotated[
        str | None,
        typer.Argument(
            help="The timbre to look up, such as 'harp:0.5, trumpet:0.5' or 'violin'. "
            "Without one, the instruments are listed."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="The .timbre file in which the timbre is saved.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    sfz: Annotated[
        Path | None,
        typer.Option(
            help="The folder in which the timbre is written as a sampled instrument: an SFZ file, "
            "and WAV files over keys and velocities.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    clips: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            help="A recording of the instrument whose timbre is wanted, of any length. The option "
            "may be repeated: several clips of one instrument are heard together.",
            metavar="CLIP.wav",
            rich_help_panel=SOUND,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="A picture of the model's instruments on its timbre map or, with --from, of where "
            "the timbre lies: a .png or .svg file to write.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    model: Model = "",
    encoder: Encoder = "",
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """List a model's instruments, or draw them; look up, hear or save a timbre."""
    from timbrel.bundles.bundle import load_bundle
    from timbrel.constants import DEFAULT_MODEL
    from timbrel.files import check_output, check_output_folder
    from timbrel.sampled import FORCE_REMEDY
    from timbrel.timbre.timbre import FILE_SUFFIX, parse_timbre, save_timbre

    if clips and spec is not None:
        raise InputError(f"the timbre comes from '{spec}' or --from; give one of them")
    if encoder and not clips:
        raise InputError("--encoder is for a timbre that is heard; give --from")
    if output is not None:
        if spec is None and not clips:
            raise InputError("-o saves a timbre; name it: timbrel timbres 'harp' -o my.timbre")
        if output.suffix != FILE_SUFFIX:
            raise InputError(f"{output}: a timbre's file ends with '{FILE_SUFFIX}'")
        check_output(output, force=force)
    if sfz is not None:
        if spec is None:
            raise InputError("--sfz writes a timbre; name it: timbrel timbres 'harp' --sfz harp/")
        check_output_folder(sfz, may_hold=force, remedy=FORCE_REMEDY)
    if plot is not None:
        if spec is not None:
            raise InputError("--plot draws all instruments; leave out the timbre")
        check_output(plot, force=force)
    if clips:
        from timbrel.commands.timbre_from import from_clips

        from_clips(
            clips,
            output=output,
            plot=plot,
            model=model,
            encoder=encoder,
            quiet=quiet,
            as_json=as_json,
        )
        return
    bundle = load_bundle(model or DEFAULT_MODEL, kind="mel2mel")
    if plot is not None:
        from timbrel.evaluation.map_picture import plot_timbre_map

        plot_timbre_map(bundle, plot)
    rows: list[dict[str, Any]]
    if spec is None:
        rows = [
            {
                "name": i.name,
                "program": i.program,
                "drums": i.is_kit,
                "coordinates": list(i.embedding),
            }
            for i in bundle.instruments
        ]
    else:
        found = parse_timbre(spec, bundle.instruments)
        for remark in found.remarks:
            print(printable(remark), file=sys.stderr)
        rows = [
            {"time_s": time_s, "coordinates": list(point)}
            for time_s, point in zip(found.times_s, found.points, strict=True)
        ]
        if output is not None:
            save_timbre(output, found)
        if sfz is not None:
            _write_sfz(bundle, spec, sfz, force=force, quiet=quiet)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        point = ",".join(f"{value:.3f}" for value in row["coordinates"])
        if spec is None:
            kind = "kit" if row["drums"] else "program"
            label = f"{row['name']:24} {kind:7} {row['program']:3}"
        else:
            label = f"{row['time_s']:g} s"
        print(f"{label}  @{point}")
    for path in (output, plot):
        if path is not None:
            print(f"{path}: saved")


def _write_sfz(bundle: Bundle, spec: str, folder: Path, *, force: bool, quiet: bool) -> None:
    from timbrel.sampled import write_sampled
    from timbrel.synthesizer import Synthesizer

    synthesizer = Synthesizer.load(bundle.path)
    path = write_sampled(synthesizer, spec, folder, force=force, progress=shown(quiet=quiet))
    print(printable(f"{path}: written"), file=sys.stderr)
