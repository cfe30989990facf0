"""The commands about the installation itself: what is installed, and how fast it runs."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from timbrel import __version__
from timbrel.commands.options import Json
from timbrel.commands.panels import EXPERT


def add_engine_commands(app: typer.Typer) -> None:
    """Add `timbrel info` and `timbrel bench` to the program."""
    app.command()(info)
    bench = typer.Typer(help="Measure how fast this machine is.")
    bench.callback()(_measured)
    bench.command()(wavenet)
    app.add_typer(bench, name="bench")


def info(as_json: Json = False) -> None:
    """Show what is installed: version, instruction sets, models with their hashes."""
    from timbrel.bundles.bundle import bundle_hash, load_bundle, shipped_bundles
    from timbrel.engine.wavenet import instruction_sets

    bundles = [load_bundle(name) for name in shipped_bundles()]
    isas = instruction_sets()
    result: dict[str, Any] = {
        "version": __version__,
        "instruction_set": isas[-1],
        "instruction_sets": isas,
        "models": [
            {
                "name": bundle.name,
                "kind": bundle.kind,
                "status": bundle.status,
                "sha256": bundle_hash(bundle.path),
            }
            for bundle in bundles
        ],
    }
    if as_json:
        print(json.dumps(result, indent=2))
        return
    print(f"timbrel {__version__}")
    print(f"instruction set {isas[-1]} (also here: {', '.join(isas[:-1]) or 'none'})")
    for model in result["models"]:
        kind = f"{model['kind']} ({model['status']})" if model["status"] else model["kind"]
        print(f"model {model['name']}, {kind}, SHA-256 {model['sha256']}")


def wavenet(
    seconds: Annotated[
        float,
        typer.Option(
            help="The time that the measurement takes in all, roughly, in seconds.",
            min=1,
            max=3600,
            rich_help_panel=EXPERT,
        ),
    ] = 40.0,
    as_json: Json = False,
) -> None:
    """Measure the WaveNet engine in all precisions, and with several streams and threads."""
    from timbrel.vocoder.benchmark import measure_wavenet

    report = measure_wavenet(seconds)
    print(json.dumps(report, indent=2) if as_json else _table(report))


def _measured() -> None:
    """Keep `wavenet` a command of its own though it is the only one."""


def _table(report: dict[str, Any]) -> str:
    machine = report["machine"]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, load {machine['load']:.1f}; "
        f"sizes as published: 20 layers, 64 residual, 256 skip channels",
        f"{'precision':10}{'isa':10}{'threads':>8}{'streams':>8}{'samples/s':>12}"
        f"{'× real time':>12}{'of floor':>10}{'× peer':>9}",
    ]
    for row in report["results"]:
        floor, peer = (
            "" if row[key] is None else format(row[key], form)
            for key, form in (("floor_fraction", ".0%"), ("peer_ratio", ".0f"))
        )
        lines.append(
            f"{row['precision']:10}{row['isa']:10}{row['threads']:8}{row['streams']:8}"
            f"{row['samples_per_s']:12,.0f}{1 / row['real_time_factor']:12.2f}{floor:>10}{peer:>9}"
        )
    return "\n".join([*lines, *_bounds(report)])


def _bounds(report: dict[str, Any]) -> list[str]:
    """What keeps precisions slow whose weights the second-level cache does not hold."""
    best = report["results"][0]["isa"]
    cache = report["machine"]["second_level_cache"]
    lines = []
    for row in report["results"]:
        alone = row["isa"] == best and row["threads"] == row["streams"] == 1
        if alone and cache is not None and row["weight_bytes"] > cache:
            most = 1 / row["real_time_factor"] / row["floor_fraction"]
            lines.append(
                f"{row['precision']}: {row['weight_bytes'] / 1e6:.1f} MB of weights a sample do "
                f"not fit into the second-level cache of {cache / 1e6:.1f} MB; loading them alone "
                f"allows {most:.2f} × real time. Streams that advance together share the loads."
            )
    return lines
