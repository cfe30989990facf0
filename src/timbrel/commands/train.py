"""The commands that train models and write them as bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timbrel.commands.options import within_machine
from timbrel.errors import need_training
from timbrel.progress import bar


def add_train_commands(app: typer.Typer) -> None:
    """Add `timbrel train` and `timbrel export` to the program."""
    app.command()(train)
    app.command()(export)


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe.", metavar="RECIPE.yaml")],
    data: Annotated[Path, typer.Option(help="A folder that 'timbrel prepare' made.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The run's folder.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    minutes: Annotated[float | None, typer.Option(help="Stop after so long.", min=0)] = None,
    steps: Annotated[
        int | None, typer.Option(help="Stop after so many steps in all.", min=1)
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; a GPU if there is one.")] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="PyTorch's threads on the CPU.", min=1, callback=within_machine),
    ] = None,
) -> None:
    """Train a model by a recipe. Under torchrun, with several processes or machines."""
    need_training()
    import torch

    from timbrel.training.loop import train as run_training
    from timbrel.training.recipe import read_recipe

    if threads is not None:
        torch.set_num_threads(threads)
    done = run_training(
        read_recipe(recipe),
        data,
        output,
        resume=resume,
        minutes=minutes,
        steps=steps,
        device=device,
        say=lambda line: print(line, flush=True),
        progress=bar,
    )
    print(f"{output}: {done} steps done")


def export(
    run: Annotated[Path, typer.Argument(help="A run's folder.", metavar="RUN")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The bundle's folder.")],
    name: Annotated[str | None, typer.Option(help="The model's name.")] = None,
) -> None:
    """Write a trained model as a bundle."""
    need_training()
    from timbrel.training.export import export_run

    export_run(run, output, name=name)
    print(f"{output}: written")
