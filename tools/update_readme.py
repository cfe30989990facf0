"""Write the numbers of docs/results.json and docs/bench/ into the README."""

from __future__ import annotations

import json
from pathlib import Path

from timbrel.constants import DEFAULT_MODEL, SMALL_MODEL

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- numbers: written by tools/update_readme.py -->", "<!-- end of numbers -->"


def main() -> None:
    """Replace what stands between the markers."""
    results = json.loads((ROOT / "docs/results.json").read_text())
    bench = {
        name: json.loads((ROOT / f"docs/bench/{name}.json").read_text())
        for name in ("render", "songs", "memory")
    }
    path = ROOT / "README.md"
    before, rest = path.read_text().split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n{table(results, bench)}{END}{after}")


def table(results: dict, bench: dict) -> str:
    """The README's table."""
    model = SMALL_MODEL
    processor = bench["songs"]["machine"]["processor"]
    found = results["log_mel"][model].values()
    centred = sum(measures["centred_correlation"] for measures in found) / len(found)
    by_condition = results["log_cqt_correlation"]
    lines = [
        f"`{model}` on {results['excerpts']} test excerpts × {len(results['instruments'])} "
        f"instruments (`make results`); speed on one core ({processor}, `make bench`):",
        "",
        "| | |",
        "|---|---|",
        f"| log-mel correlation with the original, bin means removed | {centred:.3f} |",
    ]
    for vocoder in ("parallel", "griffin-lim"):
        for source, words in (("true mel", "the true mel"), (model, "MIDI")):
            if found := by_condition.get(f"{source}, {vocoder}"):
                mean = found["mean"]
                lines.append(f"| log-CQT correlation, {vocoder}, from {words} | {mean:.3f} |")
    for rendered in bench["render"]["results"]:
        faster = rendered["duration_s"] / rendered["took_s"]
        lines.append(
            f"| `timbrel render {rendered['file']}{_model_of(rendered, ' --model {}')}`, "
            "from start to file | "
            f"{rendered['took_s']:.1f} s for {rendered['duration_s']:.0f} s of sound, "
            f"{faster:.0f}× real time |"
        )
    for song in bench["songs"]["song"]:
        lines.append(
            f"| a song of ten tracks with drums, {song['threads']} of two cores | "
            f"{song['took_s']:.0f} s for {song['duration_s']} s of sound, "
            f"{song['times_real_time']:.1f}× real time, {song['peak_mb']} MB |"
        )
    short, long = bench["memory"]["pieces"]
    lines.append(
        f"| peak memory for {short['minutes']:g} and for {long['minutes']:g} minutes"
        f"{_model_of(bench['memory'], ', {}')} | "
        f"{short['peak_mb']:.0f} and {long['peak_mb']:.0f} MB |"
    )
    return "\n".join(lines) + "\n"


def _model_of(measured: dict, words: str) -> str:
    """Which model was measured, unless it is the default one."""
    return "" if measured["model"] == DEFAULT_MODEL else words.format(measured["model"])


if __name__ == "__main__":
    main()
