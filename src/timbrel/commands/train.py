"""The commands that train models, compare training runs and export them as bundles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrel.commands.options import Force, Json, Quiet, within_machine
from timbrel.commands.panels import DATA, EXPERT, OUTPUT, TRAINING
from timbrel.errors import need_training
from timbrel.files import check_output
from timbrel.progress import shown

if TYPE_CHECKING:
    from timbrel.training.comparison import Run


def add_train_commands(app: typer.Typer) -> None:
    """Add `timbrel train`, `runs` and `export` to the program."""
    for command in (train, runs, export):
        app.command()(command)


def train(
    recipe: Annotated[
        Path,
        typer.Argument(
            help="The recipe: a YAML file that names the model and how it is trained.",
            metavar="RECIPE.yaml",
        ),
    ],
    data: Annotated[
        Path, typer.Option(help="A folder that 'timbrel prepare' wrote.", rich_help_panel=DATA)
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="The folder for the run: checkpoints, log, TensorBoard.",
            rich_help_panel=OUTPUT,
        ),
    ],
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="The run is resumed from its last checkpoint. The recipe may have other "
            "learning rates or steps.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="The number of minutes after which the training stops.",
            min=0,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="The number of steps in all after which the training stops.",
            min=1,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A value for a key of the recipe, as in options.loss=abs. The option may be "
            "repeated.",
            metavar="KEY=VALUE",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="The seed of the training, instead of the recipe's.",
            min=0,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="The device to train on: cpu or cuda. By default a GPU if there is one.",
            rich_help_panel=EXPERT,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="The number of PyTorch's threads on the CPU.",
            min=1,
            callback=within_machine,
            rich_help_panel=EXPERT,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Train a model by a recipe; under torchrun with several processes or machines."""
    need_training()
    import torch

    from timbrel.training.loop import train as run_training
    from timbrel.training.recipe import read_recipe

    if threads is not None:
        torch.set_num_threads(threads)
    changes = [*(settings or []), *([] if seed is None else [f"seed={seed}"])]
    done = run_training(
        read_recipe(recipe, changes),
        data,
        output,
        resume=resume,
        minutes=minutes,
        steps=steps,
        device=device,
        say=lambda line: print(line, flush=True),
        progress=shown(quiet=quiet),
    )
    print(f"{output}: {done} steps done")


def runs(
    folders: Annotated[
        list[Path], typer.Argument(help="The folders of the runs.", metavar="RUN...")
    ],
    plot: Annotated[
        Path | None,
        typer.Option(
            help="A picture of losses and validations: a PNG or SVG file to write.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Compare training runs: their state, their best validation, how their recipes differ."""
    need_training()
    from timbrel.training.comparison import as_json as json_of
    from timbrel.training.comparison import plot_runs, read_runs

    if plot is not None:
        check_output(plot, force=force)
    found = read_runs(folders)
    if plot is not None:
        plot_runs(found, plot)
    if as_json:
        print(json_of(found))
        return
    _print_runs(found)
    if plot is not None:
        print(f"{plot}: drawn")


def export(
    run: Annotated[Path, typer.Argument(help="The folder of the run.", metavar="RUN")],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="The folder for the model's bundle.", rich_help_panel=OUTPUT
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            help="The name of the model. By default the recipe's.", rich_help_panel=OUTPUT
        ),
    ] = None,
    best: Annotated[
        bool,
        typer.Option(
            "--best",
            help="The bundle gets the weights of the best validation, not the last ones.",
            rich_help_panel=EXPERT,
        ),
    ] = False,
) -> None:
    """Write the model of a training run as a bundle."""
    need_training()
    from timbrel.training.export import export_run

    for folder in export_run(run, output, name=name, best=best):
        print(f"{folder}: written")


_LINE = "{:20} {:18} {:>15} {:>9} {:>9}  {}"


def _print_runs(found: Sequence[Run]) -> None:
    from timbrel.training.comparison import recipe_differences

    print(_LINE.format("run", "task", "steps", "steps/s", "loss", "validation: last, best"))
    for run in found:
        row = run.row()
        judged = "none yet"
        if row["best"] is not None:
            judged = (
                f"{row['judged_by']} {row['last']:.4f}, {row['best']:.4f} at {row['best_step']}"
            )
        print(
            _LINE.format(
                row["run"],
                row["task"],
                f"{row['step']}/{row['steps']}",
                _shown(row["steps_per_s"], ".2f"),
                _shown(row["loss"], ".4f"),
                judged,
            )
        )
    for key, values in recipe_differences(found).items():
        said = [f"{run.name} {_said(value)}" for run, value in zip(found, values, strict=True)]
        print(f"{key}: {', '.join(said)}")


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _said(value: Any) -> str:
    return "–" if value in (None, "") else str(value)
