"""Copy a vocoder's bundle without its post-filter, to measure what its network makes alone.

python tools/without_post_filter.py wavenet out/wavenet-alone
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from timbrel.bundles.bundle import CONFIG_FILE, load_bundle, write_sums
from timbrel.vocoder.post_filter import KEY


def main() -> None:
    """Write the copy; one that is there already is replaced."""
    source, target = sys.argv[1], Path(sys.argv[2])
    bundle = load_bundle(source)
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(bundle.path, target)
    config = {key: value for key, value in bundle.config.items() if key != KEY}
    config["name"] = target.name
    (target / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    write_sums(target)


if __name__ == "__main__":
    main()
