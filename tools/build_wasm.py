"""Build the WaveNet engine as WebAssembly, with the compiler of the package ziglang.

Writes wavenet.wasm and wavenet-relaxed.wasm, the second for browsers with relaxed SIMD, and the
JavaScript beside them.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

NATIVE = Path(__file__).parents[1] / "native"
SOURCES = ("model", "isa", "packing", "engine", "isa/portable", "isa/wasm")
FLAGS = (
    *("-target", "wasm32-wasi", "-mexec-model=reactor", "-std=c++20", "-O3", "-flto"),
    *("-ffp-contract=off", "-fno-exceptions", "-DTIMBREL_NO_THREADS", "-DNDEBUG", "-msimd128"),
)
BUILDS = {"wavenet.wasm": (), "wavenet-relaxed.wasm": ("-mrelaxed-simd",)}


def main() -> None:
    """Build into the folder that is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="a folder")
    build(parser.parse_args().output)


def build(output: Path) -> None:
    """Write the modules into a folder."""
    output.mkdir(parents=True, exist_ok=True)
    engine = NATIVE / "wavenet"
    sources = [engine / "src" / f"{name}.cpp" for name in SOURCES]
    for name, flags in BUILDS.items():
        command = [sys.executable, "-m", "ziglang", "c++", *FLAGS, *flags]
        command += [
            "-I",
            engine / "include",
            "-I",
            NATIVE,
            *sources,
            NATIVE / "wasm" / "interface.cpp",
        ]
        subprocess.run([*command, "-s", "-o", output / name], check=True)
    shutil.copy(NATIVE / "wasm" / "wavenet.mjs", output)


if __name__ == "__main__":
    main()
