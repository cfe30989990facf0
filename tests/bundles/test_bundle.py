"""Model bundles: a good one loads; whatever is wrong with one is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from timbrel.bundles.bundle import (
    CONFIG_FILE,
    SUMS_FILE,
    Bundle,
    load_bundle,
    shipped_bundles,
    write_sums,
)
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.generator import MelGenerator
from timbrel.score.instruments import TEN_INSTRUMENTS

FILES = ["README.md", "config.json", "future.onnx", "mel.onnx", "past.onnx", "weights.safetensors"]


@pytest.fixture
def bundle_copy(tiny_bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle that a test may damage."""
    return Path(shutil.copytree(tiny_bundle.path, tmp_path / "bundle"))


def change_config(path: Path, change: Callable[[dict], object]) -> None:
    """Alter a bundle's configuration, and its hash with it."""
    config = json.loads((path / CONFIG_FILE).read_text())
    change(config)
    (path / CONFIG_FILE).write_text(json.dumps(config))
    write_sums(path)


def test_a_bundle_loads_with_all_that_it_was_written_with(tiny_bundle: Bundle) -> None:
    bundle = load_bundle(tiny_bundle.path, kind="mel2mel")
    assert (bundle.kind, bundle.name, bundle.gain) == ("mel2mel", "tiny", 0.5)
    assert bundle.mel == MelConfig()
    assert (bundle.window.hop, bundle.window.context) == (16, 64)
    assert {i.name: i.program for i in bundle.instruments} == TEN_INSTRUMENTS
    assert all(len(i.embedding) == 2 for i in bundle.instruments)
    assert bundle.model["hidden_size"] == 16


def test_a_bundle_consists_of_the_files_whose_hashes_it_lists(tiny_bundle: Bundle) -> None:
    assert sorted(p.name for p in tiny_bundle.path.iterdir()) == sorted([*FILES, SUMS_FILE])
    listed = [line.split()[1] for line in tiny_bundle.file(SUMS_FILE).read_text().splitlines()]
    assert listed == FILES


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_byte_is_found_and_the_file_named(bundle_copy: Path, name: str) -> None:
    content = bytearray((bundle_copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle_copy / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: is damaged"):
        load_bundle(bundle_copy)


@pytest.mark.parametrize("bit", [1, 128])
@pytest.mark.parametrize("position", [0, 30, 64, 70, 76])
def test_a_flipped_bit_in_the_hashes_is_found(bundle_copy: Path, position: int, bit: int) -> None:
    content = bytearray((bundle_copy / SUMS_FILE).read_bytes())
    content[position] ^= bit
    (bundle_copy / SUMS_FILE).write_bytes(content)
    with pytest.raises(InputError, match="bundle"):
        load_bundle(bundle_copy)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(bundle_copy: Path, name: str) -> None:
    (bundle_copy / name).unlink()
    with pytest.raises(InputError, match=f"lacks the file {name}"):
        load_bundle(bundle_copy)


def test_missing_hashes_are_named(bundle_copy: Path) -> None:
    (bundle_copy / SUMS_FILE).unlink()
    with pytest.raises(InputError, match=f"has no {SUMS_FILE}"):
        load_bundle(bundle_copy)


def test_the_configuration_cannot_escape_its_hash(bundle_copy: Path) -> None:
    (bundle_copy / SUMS_FILE).write_text("")
    with pytest.raises(InputError, match=f"does not list {CONFIG_FILE}"):
        load_bundle(bundle_copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format=3), "has format 3; this Timbrel reads formats 1 and 2"),
        (lambda c: c.pop("format"), "has format None"),
        (lambda c: c.update(colour="red"), "unknown key 'colour'"),
        (lambda c: c["mel"].update(colour="red"), "unknown key 'colour'"),
        (lambda c: c["window"].update(colour="red"), "unknown key 'colour'"),
        (lambda c: c["instruments"][3].update(colour="red"), "unknown key 'colour'"),
        (lambda c: c.pop("license"), "lacks the key 'license'"),
        (lambda c: c["mel"].pop("n_fft"), "lacks the key 'n_fft'"),
        (lambda c: c["window"].pop("hop"), "lacks the key 'hop'"),
        (lambda c: c["instruments"][3].pop("program"), "lacks the key 'program'"),
        (lambda c: c.update(gain="loud"), "'gain' must be of type float"),
        (lambda c: c.update(gain=True), "'gain' must be of type float"),
        (lambda c: c.update(mel=[]), "'mel' must be of type dict"),
        (lambda c: c["mel"].update(n_fft=1024.0), "'n_fft' must be of type int"),
        (lambda c: c["window"].update(hop="16"), "'hop' must be of type int"),
        (lambda c: c.update(instruments=["harp"]), "holds 'harp'"),
        (lambda c: c["instruments"][3].update(embedding=[0.1]), "'embedding' must hold as many"),
        (lambda c: c["instruments"][3].update(embedding=["a", "b"]), "'embedding' must hold"),
    ],
)
def test_a_configuration_that_is_not_understood_is_refused(
    bundle_copy: Path, change: Callable[[dict], object], message: str
) -> None:
    change_config(bundle_copy, change)
    with pytest.raises(InputError, match=message) as error:
        load_bundle(bundle_copy)
    assert str(bundle_copy / CONFIG_FILE) in str(error.value)


def test_whole_numbers_stand_for_numbers_with_a_fraction(bundle_copy: Path) -> None:
    change_config(bundle_copy, lambda c: c.update(gain=1))
    assert load_bundle(bundle_copy).gain == 1.0


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "[" * 100_000])
def test_a_configuration_that_is_no_json_object_is_refused(bundle_copy: Path, content: str) -> None:
    (bundle_copy / CONFIG_FILE).write_text(content)
    write_sums(bundle_copy)
    with pytest.raises(InputError, match=rf"{CONFIG_FILE}: (is not JSON|has format None)"):
        load_bundle(bundle_copy)


def test_another_kind_of_model_is_refused(bundle_copy: Path) -> None:
    with pytest.raises(InputError, match="of kind 'mel2mel', not 'parallel'"):
        load_bundle(bundle_copy, kind="parallel")
    change_config(bundle_copy, lambda c: c.update(kind="organ"))
    with pytest.raises(InputError, match="its kind 'organ' is unknown; known: mel2mel, parallel"):
        load_bundle(bundle_copy)


def test_keys_of_another_kind_are_refused(bundle_copy: Path) -> None:
    change_config(bundle_copy, lambda c: c.update(kind="parallel"))
    with pytest.raises(InputError, match="has an unknown key 'window'"):
        load_bundle(bundle_copy)


def test_a_network_that_cannot_be_run_is_named(bundle_copy: Path) -> None:
    (bundle_copy / "past.onnx").write_bytes(b"no network")
    write_sums(bundle_copy)
    with pytest.raises(InputError, match=r"past\.onnx: cannot be run"):
        MelGenerator(load_bundle(bundle_copy))


def test_a_model_without_its_size_is_refused(bundle_copy: Path) -> None:
    change_config(bundle_copy, lambda c: c["model"].pop("hidden_size"))
    with pytest.raises(InputError, match=rf"{CONFIG_FILE}: lacks the model's 'hidden_size'"):
        MelGenerator(load_bundle(bundle_copy))


@pytest.mark.parametrize("name", ["no-such-model", "config.json"])
def test_what_is_no_folder_is_refused_with_the_models_that_there_are(
    bundle_copy: Path, name: str
) -> None:
    shipped = ", ".join(shipped_bundles()) or "none"
    with pytest.raises(InputError, match=rf"{name}: is neither .*\({shipped}\)"):
        load_bundle(bundle_copy / name)


def test_any_other_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no bundle"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("name", shipped_bundles())
def test_shipped_models_load_by_name(name: str) -> None:
    bundle = load_bundle(name)
    assert bundle.name == name
    assert bundle.path.name == name


def test_format_1_is_read(bundle_copy: Path) -> None:
    before = load_bundle(bundle_copy)
    change_config(bundle_copy, lambda c: c.update(format=1))
    after = load_bundle(bundle_copy)
    assert after.config == before.config
    assert after.mel == before.mel


def test_notes_of_format_1_keep_the_rate_of_their_mel() -> None:
    bundle = load_bundle("notes-classifier")
    assert json.loads(bundle.file(CONFIG_FILE).read_text())["format"] == 1
    assert bundle.sample_rate == 16_000
    assert "gain" not in bundle.config
    with pytest.raises(InputError, match="'notes-classifier' has no mel spectrogram"):
        _ = bundle.mel
