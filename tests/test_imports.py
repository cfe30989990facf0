"""The layout: folders import each other in one direction, and only one imports the engine."""

from __future__ import annotations

import ast
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
PACKAGE = SOURCE / "timbrel"
MOST_LINES = 450


def modules() -> dict[str, Path]:
    """Every module of Timbrel by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path, known: set[str]) -> set[str]:
    """The modules of Timbrel that a file imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in known else str(node.module))
    return found & known


def room_of(module: str) -> str:
    """The folder of a module; what lies at the top is a room of its own."""
    parts = module.split(".")
    return ".".join(parts[:2])


def edges() -> dict[str, dict[str, str]]:
    """For each folder the folders that it imports, with one import as an example."""
    known = modules()
    graph: dict[str, dict[str, str]] = defaultdict(dict)
    for module, path in known.items():
        for target in sorted(imports_of(path, set(known))):
            source_room, target_room = room_of(module), room_of(target)
            if source_room != target_room:
                graph[source_room].setdefault(target_room, f"{module} imports {target}")
    return graph


def circle_in(graph: dict[str, dict[str, str]]) -> list[str]:
    """The imports of one circle, or nothing."""
    done: set[str] = set()

    def visit(room: str, way: list[str]) -> list[str]:
        if room in way:
            ring = [*way[way.index(room) :], room]
            return [graph[a][b] for a, b in pairwise(ring)]
        if room in done:
            return []
        for target in graph.get(room, {}):
            if found := visit(target, [*way, room]):
                return found
        done.add(room)
        return []

    return next((found for room in list(graph) if (found := visit(room, []))), [])


def test_no_circle_of_folders() -> None:
    circle = circle_in(edges())
    assert not circle, "these imports close a circle:\n" + "\n".join(circle)


def test_a_circle_would_be_named() -> None:
    graph = {"a": {"b": "a.x imports b.y"}, "b": {"c": "b.z imports c"}, "c": {"a": "c imports a"}}
    assert circle_in(graph) == ["a.x imports b.y", "b.z imports c", "c imports a"]


def test_only_the_engine_imports_the_native_module() -> None:
    importers = {
        name
        for name, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and any(alias.name in ("_wavenet", "_training") for alias in node.names)
    }
    assert {room_of(name) for name in importers} == {"timbrel.engine"}


def test_evaluations_measure_what_was_computed_before_gain_and_limiter() -> None:
    known = set(modules())
    mastered = {
        *("timbrel.synthesizer", "timbrel.audio_stream", "timbrel.mixer"),
        *("timbrel.mastering", "timbrel.limiter"),
    }
    assert mastered < known
    # They play songs as users do, drums and bends too, but for the normalisation.
    players = tuple(
        f"timbrel.evaluation.{name}" for name in ("programs.pairs", "timbre_points", "translation")
    )
    for player in players:
        assert "normalize=False" in modules()[player].read_text()
    for name, path in modules().items():
        if name in players:
            continue
        if room_of(name) in ("timbrel.evaluation", "timbrel.training", "timbrel.notes"):
            assert not imports_of(path, known) & mastered, name


def test_modules_are_short() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert {name: n for name, n in lengths.items() if n > MOST_LINES} == {}
