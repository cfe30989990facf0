"""The page's files, the folder that is written of them, and the server."""

from __future__ import annotations

import errno
import gzip
import hashlib
import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from timbrel.bundles.bundle import WEIGHTS_FILE, load_bundle
from timbrel.engine.wavenet import Engine
from timbrel.errors import InputError, MissingToolError, OutputError
from timbrel.geometry import MelConfig
from timbrel.hearing.from_audio import speaks_of
from timbrel.vocoder.wavenet import WaveNet, WaveNetConfig
from timbrel.vocoder.wavenet_export import write_wavenet_bundle
from timbrel.web import page as page_module
from timbrel.web.page import HEADERS, INDEX_FILE, MANIFEST_FILE, STATIC, page_files, write_page
from timbrel.web.server import PageServer, make_server

MOST_BYTES = 15e6  # over the wire, with the default models
ANSWER_LIMIT_S = 120  # longer than the server waits itself, on a machine that is busy

built = pytest.mark.skipif(
    not (STATIC / INDEX_FILE).is_file(), reason="the page is not built; run: make page"
)


@pytest.fixture
def small_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page as far as Python knows it, so that these tests need no Node."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / INDEX_FILE).write_text("<!doctype html><head><title>page</title></head>")
    (folder / "assets" / "runtime.wasm.gz").write_bytes(gzip.compress(b"wasm"))
    (folder / "assets" / "index.js").write_text("0;")
    monkeypatch.setattr(page_module, "STATIC", folder)
    return folder


@pytest.fixture
def server(small_page: Path) -> Iterator[PageServer]:
    assert small_page.is_dir()
    with make_server(page_files(), port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def get(server: PageServer, path: str) -> http.client.HTTPResponse:
    return urllib.request.urlopen(server.url + path)


def raw(server: PageServer, data: bytes) -> bytes:
    """What the server says to some bytes.

    One that closes before it has read all resets the connection. Whether that is noticed when the
    bytes are sent, when the end is told or when the answer is read depends on who is faster.
    """
    said = b""
    with socket.create_connection(server.server_address[:2], timeout=ANSWER_LIMIT_S) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while block := connection.recv(65536):
                said += block
        except OSError as error:
            if not (isinstance(error, ConnectionError) or error.errno == errno.ENOTCONN):
                raise  # such as a server that never answers
    return said


def test_the_manifest_lists_what_there_is(server: PageServer) -> None:
    manifest = json.load(get(server, MANIFEST_FILE))
    names = [entry["config"]["name"] for entry in manifest["models"]]
    assert {manifest["default_model"], manifest["default_vocoder"]} <= set(names)
    encoder = next(e["config"] for e in manifest["models"] if e["config"]["kind"] == "encoder")
    # It hears the instruments of its Mel2Mel, which the page has once.
    assert "instruments" not in encoder
    assert speaks_of(load_bundle(encoder["name"]), load_bundle(encoder["mel2mel"]))
    assert {"transcriber", encoder["mel2mel"]} <= set(names)
    entry = next(e for e in manifest["models"] if e["config"]["name"] == manifest["default_model"])
    for listed in entry["files"].values():
        content = gzip.decompress(get(server, listed["path"]).read())
        assert hashlib.sha256(content).hexdigest() == listed["sha256"]
    assert gzip.decompress(get(server, manifest["runtime"]).read()) == b"wasm"
    for tune in manifest["tunes"]:
        assert get(server, tune["path"]).read()[:4] == b"MThd"


def test_the_headers_are_strict_and_the_types_right(server: PageServer) -> None:
    types = {
        "": "text/html; charset=utf-8",
        "assets/index.js": "text/javascript",
        "assets/runtime.wasm.gz": "application/wasm",
        MANIFEST_FILE: "application/json",
        "tunes/prelude.mid": "audio/midi",
    }
    for path, kind in types.items():
        answer = get(server, path)
        assert answer.headers["Content-Type"] == kind
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
    # The browser decompresses it, and compiles it while it arrives.
    assert get(server, "assets/runtime.wasm.gz").headers["Content-Encoding"] == "gzip"
    assert get(server, "assets/index.js").headers["Content-Encoding"] is None
    index = get(server, "").read().decode()
    links = re.findall(r'<link rel="preload" as="fetch" crossorigin href="([^"]+)" />', index)
    assert links == [MANIFEST_FILE, "assets/runtime.wasm.gz"]
    assert "immutable" in get(server, "assets/index.js").headers["Cache-Control"]
    assert get(server, "").headers["Cache-Control"] == "no-cache"
    policy = HEADERS["Content-Security-Policy"]
    assert "'wasm-unsafe-eval'" in policy
    assert "'unsafe-inline'" not in policy
    assert "'unsafe-eval'" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "/../page.py",
        "/%2e%2e/page.py",
        "/..%2fpage.py",
        "//etc/passwd",
        "/etc/passwd",
        "/assets/",
        "/assets/../../page.py",
        "/nothing",
        "/index.html/",
        "/%00",
        "/%ff%fe",
        "/[",
    ],
)
def test_nothing_else_exists(server: PageServer, path: str) -> None:
    assert raw(server, f"GET {path} HTTP/1.0\r\n\r\n".encode()).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n",
        b"GET http://[::1 HTTP/1.0\r\n\r\n",
        b"GET " + b"/a" * 50_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
        b"DELETE / HTTP/1.0\r\n\r\n",
        bytes(range(256)),
    ],
)
def test_malformed_requests_are_survived(
    server: PageServer, data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    raw(server, data)
    assert get(server, "").status == 200
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("n_bytes", [70_000, 700_000, 7_000_000])
def test_a_server_that_closes_first_is_no_failure(server: PageServer, n_bytes: int) -> None:
    """It refuses a first line that is too long, and leaves the rest unread."""
    for _ in range(20):
        said = raw(server, b"GET /" + bytes(n_bytes))
        assert not said or said.startswith(b"HTTP/1.1 414")


def test_head_gives_no_content(server: PageServer) -> None:
    said = raw(server, b"HEAD / HTTP/1.0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200")
    assert said.endswith(b"\r\n\r\n")


def test_a_port_that_is_taken_is_named(server: PageServer) -> None:
    port = server.server_address[1]
    with pytest.raises(InputError, match=rf"127\.0\.0\.1:{port}: cannot be served .* --port"):
        make_server({}, port=port)


def test_a_folder_is_written_and_not_overwritten(small_page: Path, tmp_path: Path) -> None:
    assert small_page.is_dir()
    folder = tmp_path / "out" / "site"
    n_bytes = write_page(folder)
    assert n_bytes == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    for entry in manifest["models"]:
        for listed in entry["files"].values():
            assert (folder / listed["path"].split("?")[0]).is_file()
    assert "Cross-Origin-Opener-Policy: same-origin" in (folder / "_headers").read_text()
    with pytest.raises(OutputError, match="is not empty; give --force"):
        write_page(folder)
    assert write_page(folder, force=True) == n_bytes
    with pytest.raises(OutputError, match="is not a folder"):
        write_page(folder / INDEX_FILE)


@pytest.fixture
def wavenet(tmp_path: Path) -> Path:
    """A bundle of a WaveNet, for the page's mels."""
    return write_wavenet(tmp_path / "vocoders" / "small", "../small")


def write_wavenet(path: Path, name: str, *, n_mels: int = 80) -> Path:
    path.parent.mkdir(exist_ok=True)
    write_wavenet_bundle(
        WaveNet(WaveNetConfig(n_layers=2, residual_size=16, skip_size=16, n_mels=n_mels)),
        path,
        name=name,
        mel=MelConfig(n_mels=n_mels),
        gain=1.0,
        license="CC0",
        attribution="Made by chance.",
        training={},
    )
    return path


def test_a_wavenet_is_listed_as_the_engine_takes_it(
    small_page: Path, wavenet: Path, tmp_path: Path
) -> None:
    assert json.loads(page_files()[MANIFEST_FILE]())["wavenet"] == {}
    with pytest.raises(MissingToolError, match=r"lacks the WaveNet engine.*make page"):
        page_files(vocoders=[wavenet])
    (small_page / "wavenet").mkdir()
    (small_page / "wavenet" / "wavenet.wasm.gz").write_bytes(gzip.compress(b"engine"))
    write_page(tmp_path / "site", vocoders=[wavenet])

    def content(listed: dict[str, str]) -> bytes:
        content = gzip.decompress((tmp_path / "site" / listed["path"].split("?")[0]).read_bytes())
        assert hashlib.sha256(content).hexdigest() == listed["sha256"]
        return content

    manifest = json.loads((tmp_path / "site" / MANIFEST_FILE).read_text())
    assert manifest["runtime"] == "assets/runtime.wasm.gz"
    assert content(manifest["wavenet"]["wavenet.wasm"]) == b"engine"
    entry = manifest["models"][-1]
    assert entry["config"]["name"] == "../small"
    arrays = load(content(entry["files"]["engine.safetensors"]))
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    Engine(entry["config"]["engine"], arrays, precision="float32")


def test_what_is_no_wavenet_for_the_page_is_refused(
    small_page: Path, wavenet: Path, tmp_path: Path
) -> None:
    (small_page / "wavenet").mkdir()
    (small_page / "wavenet" / "wavenet.wasm.gz").write_bytes(gzip.compress(b"engine"))
    with pytest.raises(InputError, match="neither a bundle's folder"):
        page_files(vocoders=[tmp_path / "nothing"])
    with pytest.raises(InputError, match="kind 'parallel', not 'wavenet'"):
        page_files(vocoders=["parallel"])
    with pytest.raises(InputError, match=r"has a model '\.\./small' already"):
        page_files(vocoders=[wavenet, wavenet])
    other = write_wavenet(tmp_path / "vocoders" / "other", "other", n_mels=40)
    with pytest.raises(InputError, match=r"expects mels of .* 40 mels"):
        page_files(vocoders=[other])
    weights = wavenet / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(InputError, match="SHA-256"):
        page_files(vocoders=[wavenet])


def test_an_installation_without_the_page_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "STATIC", tmp_path)
    with pytest.raises(MissingToolError, match=r"lacks the page; install a wheel.*make page"):
        page_files()


def test_the_page_plays_first_with_the_model_that_is_asked_for(small_page: Path) -> None:
    assert small_page.is_dir()
    manifest = json.loads(page_files(model="mel2mel-10d")[MANIFEST_FILE]())
    assert (manifest["default_model"], manifest["default_vocoder"]) == ("mel2mel-10d", "parallel")
    for lacking in ("parallel", "nonesuch"):
        with pytest.raises(InputError, match=f"{lacking}: the page can play with mel2mel, "):
            page_files(model=lacking)


def test_a_reports_samples_are_equally_loud(small_page: Path, report: Path) -> None:
    assert small_page.is_dir()
    files = page_files(report)
    rows = json.loads(files["samples.json"]())
    assert {"condition", "instrument", "track", "start_s", "path"} == set(rows[0])
    levels = set()
    for row in rows[:3]:
        sound = files[row["path"]]()
        assert sound[:4] == b"fLaC"
        levels.add(len(sound))
    assert len(rows) == len({row["path"] for row in rows})
    with pytest.raises(InputError, match="is no report"):
        page_files(report / "sounds")


@built
def test_what_is_loaded_before_the_first_note_is_small() -> None:
    files = page_files()
    manifest = json.loads(files[MANIFEST_FILE]())
    wanted = {manifest["first_model"], manifest["first_vocoder"]}
    first = {MANIFEST_FILE, INDEX_FILE, "icon.svg", "tunes/prelude.mid"}
    first |= {name for name in files if name.startswith("assets/")}
    for entry in manifest["models"]:
        if entry["config"]["name"] in wanted:
            first |= {listed["path"].split("?")[0] for listed in entry["files"].values()}
    assert sum(len(files[name]()) for name in first) <= MOST_BYTES
    maps = {entry["config"]["name"]: entry["map"] for entry in manifest["models"]}
    assert maps[manifest["default_model"]] is not None


@built
def test_the_command_serves_without_a_network() -> None:
    """All of the page, to a client in the same namespace; `make wheel` asks the same of a wheel."""
    tools = Path(__file__).parents[2] / "tools"
    command = [tools / "without-network", sys.executable, tools / "check_wheel.py", "--only-page"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip(done.stderr)
    assert done.stdout == "the page is served whole; network: none\n", done.stderr
