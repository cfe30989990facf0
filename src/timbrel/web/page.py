"""The files of the page: the build of web/, the models, tunes, and samples from a report.

The same files are served (`timbrel.web.server`) and written to a folder (`write_page`). Large files
are compressed here and decompressed by the page, so that the size of the transfer does not depend
on the host.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from timbrel import __version__
from timbrel.bundles.bundle import (
    CARD_FILE,
    CONFIG_FILE,
    SHIPPED,
    SUMS_FILE,
    Bundle,
    bundle_hash,
    load_bundle,
    read_sums,
    shipped_bundles,
)
from timbrel.bundles.kinds import page_kinds
from timbrel.constants import DEFAULT_MODEL, SMALL_MODEL
from timbrel.engine.wavenet import Engine
from timbrel.errors import InputError, MissingToolError, OutputError
from timbrel.examples import TUNES, tune_path
from timbrel.files import check_output_folder, read_json, read_text
from timbrel.hearing.sizes import KIND as ENCODER
from timbrel.vocoder.catalog import vocoder_for
from timbrel.vocoder.wavenet_stream import engine_parts

STATIC = Path(__file__).parent / "static"
INDEX_FILE, MANIFEST_FILE, MAPS_FILE = "index.html", "page.json", "timbre-maps.json"
HEADERS_FILE = "_headers"  # as Netlify and Cloudflare Pages read it
WAVENET_FOLDER = "wavenet"  # of the static files: the WaveNet engine, in several builds
_WAVENET_WEIGHTS = "engine.safetensors"

# Isolation lets the page share memory between its threads; the policy lets it load nothing from
# elsewhere and send nothing away.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
        "connect-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

# What lies under a path of the page, made when it is asked for.
Files = Mapping[str, Callable[[], bytes]]


def page_files(
    report: str | os.PathLike | None = None,
    *,
    vocoders: Sequence[str | os.PathLike] = (),
    model: str = DEFAULT_MODEL,
) -> Files:
    """All files of the page by their paths.

    Parameters
    ----------
    report
        A folder that `timbrel evaluate` wrote, whose sounds the page then offers.
    vocoders
        Bundles of WaveNets, which the page then offers for its WAV files.
    model
        The name of the Mel2Mel that plays where the listener chose none.

    Raises
    ------
    MissingToolError
        If this installation lacks the page, what a report needs, or the page's WaveNet engine.
    InputError
        If a model is damaged, a vocoder is no WaveNet, has the name of another model or was made
        for other mels, the report is none, or the page has no such Mel2Mel.
    """
    if not (STATIC / INDEX_FILE).is_file():
        raise MissingToolError(
            "this installation lacks the page; install a wheel of a release, or build the page "
            "from the sources with 'make page'"
        )
    files: dict[str, Callable[[], bytes]] = {
        path.relative_to(STATIC).as_posix(): path.read_bytes
        for path in sorted(STATIC.rglob("*"))
        if path.is_file() and path.name != MAPS_FILE
    }
    engine = {
        name: _entry(name, hashlib.sha256(zlib.decompress(files[name](), wbits=31)).hexdigest())
        for name in files
        if name.startswith(f"{WAVENET_FOLDER}/")
    }
    runtime = next(name for name in files if name.endswith(".wasm.gz") and name not in engine)
    models: list[dict[str, Any]] = []
    for name in shipped_bundles():
        bundle = load_bundle(name)
        if bundle.kind not in (*page_kinds("plays"), *page_kinds("hears")):
            continue
        entries = {}
        for file, sha256 in read_sums(bundle.path).items():
            if file not in (CARD_FILE, CONFIG_FILE, SUMS_FILE):
                path = f"models/{name}/{file}.gz"
                files[path] = cache(partial(_compressed_file, bundle.file(file)))
                entries[file] = _entry(path, sha256)
        models.append(
            {
                "config": _config(bundle),
                "vocoder": vocoder_for(bundle) if bundle.kind == "mel2mel" else None,
                "files": entries,
                "map": _timbre_map(name),
            }
        )
    players = [one["config"]["name"] for one in models if one["vocoder"]]
    if model not in players:
        raise InputError(f"{model}: the page can play with {', '.join(players)}")
    if vocoders and not engine:
        raise MissingToolError(
            "this installation's page lacks the WaveNet engine; install a wheel of a release, or "
            "build the page from the sources with 'make page'"
        )
    wavenets: list[tuple[str, str | os.PathLike]] = []
    if engine:
        wavenets += [
            (f"models/{name}", name)
            for kind in page_kinds("exports")
            for name in shipped_bundles(kind)
        ]
    # Not by their names, which may hold anything.
    wavenets += [(f"vocoders/{number}", vocoder) for number, vocoder in enumerate(vocoders, 1)]
    for folder, vocoder in wavenets:
        bundle = load_bundle(vocoder, kind="wavenet")
        if bundle.name in (model["config"]["name"] for model in models):
            raise InputError(f"{vocoder}: the page has a model '{bundle.name}' already")
        engine_config, content = _wavenet(bundle)
        path = f"{folder}/{_WAVENET_WEIGHTS}.gz"
        files[path] = cache(partial(_compressed, content))
        entry = _entry(path, hashlib.sha256(content).hexdigest())
        config = _config(bundle) | {"engine": engine_config}
        weights = {_WAVENET_WEIGHTS: entry}
        models.append({"config": config, "vocoder": None, "files": weights, "map": None})
    for tune in TUNES.values():
        files[f"tunes/{tune}"] = tune_path(tune).read_bytes
    samples = None
    if report is not None:
        from timbrel.web.samples import SAMPLES_FILE, sample_files

        files |= sample_files(report)
        samples = SAMPLES_FILE
    manifest: dict[str, Any] = {
        "version": __version__,
        "runtime": runtime,
        "wavenet": {Path(name).name.removesuffix(".gz"): entry for name, entry in engine.items()},
        "models": models,
        "default_model": model,
        "default_vocoder": vocoder_for(load_bundle(model)),
        # What is heard while the default model is loaded.
        "first_model": SMALL_MODEL,
        "first_vocoder": vocoder_for(load_bundle(SMALL_MODEL)),
        "tunes": [{"name": name, "path": f"tunes/{file}"} for name, file in TUNES.items()],
        "samples": samples,
    }
    files[MANIFEST_FILE] = json.dumps(manifest).encode
    files[INDEX_FILE] = partial(_index, manifest)
    return files


def write_page(
    output: str | os.PathLike,
    *,
    report: str | os.PathLike | None = None,
    vocoders: Sequence[str | os.PathLike] = (),
    model: str = DEFAULT_MODEL,
    force: bool = False,
) -> int:
    """Write the page into a folder, for any web host.

    Parameters
    ----------
    output
        The folder.
    report, vocoders, model
        As for `page_files`.
    force
        Write into a folder that is not empty, over what has the same name there.

    Returns
    -------
    int
        Bytes in all.

    Raises
    ------
    OutputError
        If the folder is not empty or cannot be written to.
    """
    folder = check_output_folder(output, may_hold=force, remedy="give --force to write into it")
    files = {
        name: make() for name, make in page_files(report, vocoders=vocoders, model=model).items()
    }
    lines = [f"  {name}: {value}\n" for name, value in HEADERS.items()]
    files[HEADERS_FILE] = ("/*\n" + "".join(lines)).encode()
    for name, content in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror})") from None
    return sum(map(len, files.values()))


def _index(manifest: Mapping[str, Any]) -> bytes:
    """index.html with links to what takes longest, so that the browser asks for it at once."""
    wanted = (MANIFEST_FILE, manifest["runtime"])
    links = [f'<link rel="preload" as="fetch" crossorigin href="{path}" />' for path in wanted]
    text = read_text(STATIC / INDEX_FILE)
    return text.replace("</head>", "".join(f"  {link}\n" for link in links) + "  </head>").encode()


def _entry(path: str, sha256: str) -> dict[str, str]:
    """Where a file lies and what it must be, as the manifest says it."""
    # A host may let browsers keep the file: another content has another address.
    return {"path": f"{path}?{sha256[:12]}", "sha256": sha256}


def _config(bundle: Bundle) -> dict[str, Any]:
    """A bundle's configuration without what the page does not show."""
    left_out = {"training"}
    if bundle.kind == ENCODER:  # the page has those of its Mel2Mel
        left_out.add("instruments")
    shown = {key: value for key, value in bundle.config.items() if key not in left_out}
    return shown | {"status": bundle.status}


def _wavenet(bundle: Bundle) -> tuple[dict[str, Any], bytes]:
    """A WaveNet as the engine takes it, so that the page need not prepare its weights."""
    from safetensors.numpy import save

    mels = {model: load_bundle(model).mel for model in shipped_bundles("mel2mel")}
    if bundle.mel not in mels.values():
        raise InputError(
            f"{bundle.path}: this vocoder expects mels of {bundle.mel}; the page's are of "
            f"{' or '.join(map(str, dict.fromkeys(mels.values())))}"
        )
    config, arrays = engine_parts(bundle)
    Engine(config, arrays, precision="float32")  # says what is wrong with them
    return config, save(arrays)


def _compressed_file(path: Path) -> bytes:
    return _compressed(path.read_bytes())


def _compressed(content: bytes) -> bytes:
    """A file as gzip. Weights are nearly noise: coding bytes by frequency saves all there is."""
    compressor = zlib.compressobj(wbits=31, strategy=zlib.Z_HUFFMAN_ONLY)
    return compressor.compress(content) + compressor.flush()


def _timbre_map(model: str) -> dict[str, Any] | None:
    """What `tools/build_page.py` measured of a model, unless the model is another one by now."""
    path = STATIC / MAPS_FILE
    measured = read_json(path).get(model) if path.is_file() else None
    if measured is None or measured.pop("bundle") != bundle_hash(SHIPPED / model):
        return None
    return measured
