"""The documentation's front page, made of the README when mkdocs builds the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: Any) -> Files:
    """Add index.md: the README, with its links as the site has them."""
    text = (ROOT / "README.md").read_text()
    source = f"{config['repo_url'].rstrip('/')}/blob/main"
    files.append(File.generated(config, "index.md", content=linked(text, source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001
    """Have links from docs/ to other files of the repository lead to its address."""
    return re.sub(r"\]\(\.\./(?!\.\./)", f"]({config['repo_url'].rstrip('/')}/blob/main/", markdown)


def linked(text: str, source: str) -> str:
    """A README whose links into docs/ are those of the site, and others the repository's."""

    def target(match: re.Match[str]) -> str:
        path = match[1]
        if path.startswith(("http", "#")):
            return match[0]
        return f"]({path[5:]})" if path.startswith("docs/") else f"]({source}/{path})"

    return re.sub(r"\]\(([^)]+)\)", target, text)
