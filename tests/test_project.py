"""What surrounds the code: the repository's address, the container, the documentation's pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import timbrel

ROOT = Path(__file__).parents[1]
ADDRESS = re.compile(r"https://github\.com/([^/\s\"')}]+)/timbrel")


def test_the_address_is_the_same_everywhere() -> None:
    files = ("README.md", "CITATION.cff", "mkdocs.yml", "pyproject.toml")
    owners = {name: set(ADDRESS.findall((ROOT / name).read_text())) for name in files}
    assert all(len(found) == 1 for found in owners.values()), owners
    assert len(set.union(*owners.values())) == 1, owners


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == timbrel.__version__
    assert citation["authors"] == [{"name": "The Timbrel developers"}]
    assert f"version = {{{timbrel.__version__}}}" in (ROOT / "README.md").read_text()


def test_every_page_of_the_documentation_is_in_its_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert {name for name in pages if f": {name}\n" not in text} == set()


def steps() -> list[str]:
    """The instructions of the Dockerfile, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_container_runs_the_program_and_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    runs = " ".join(step for step in steps() if step.startswith("RUN "))
    for target in re.findall(r"make ([a-z]+)", runs):
        if target != "\\":
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert 'ENTRYPOINT ["timbrel"]' in steps()
    assert steps()[0].startswith("FROM python:3.")


@pytest.mark.parametrize("needed", ["src", "native", "web", "tools", "Makefile", "CMakeLists.txt"])
def test_what_the_container_needs_is_not_left_out(needed: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert (ROOT / needed).exists()
    assert needed not in ignored
