"""Recipes: read, written, refused; and the schedule of the learning rate."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from support.small_data import small_recipe
from timbrel.bundles.kinds import TASKS
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.training.recipe import known, read_recipe, write_recipe
from timbrel.training.tasks.mel2mel import Mel2MelOptions

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))

MINIMAL = """
task: mel2mel
steps: 100
batch_size: 4
learning_rate: 0.002
model: {}
options: {}
warmup_steps: 10
"""


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_of_the_repository_can_be_read(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.task in TASKS
    if recipe.task == "mel2mel":
        known(Mel2MelOptions, recipe.options, "options")


def test_default_recipe_is_the_published_loss() -> None:
    recipe = read_recipe(RECIPES[0].parent / "mel2mel.yaml")
    assert recipe.options == {"loss": "tanh-log-abs"}
    assert recipe.model == {"timbre_size": 2}
    assert recipe.learning_rate == 0.002
    assert recipe.mel == MelConfig()


def test_written_recipe_is_read_back(tmp_path: Path) -> None:
    recipe = small_recipe(
        mel=MelConfig(sample_rate=48_000, hop_length=384, f_max_hz=16_000.0, floor=1e-6),
        status="Two\nlines: with a colon, “quotes” and µ.",
        learning_rate=1e-5,
    )
    write_recipe(tmp_path / "recipe.yaml", recipe)
    assert read_recipe(tmp_path / "recipe.yaml") == recipe
    assert read_recipe(str(tmp_path / "recipe.yaml")) == recipe


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(MINIMAL)
    recipe = read_recipe(tmp_path / "recipe.yaml")
    assert (recipe.warmup_steps, recipe.decay_steps, recipe.precision) == (10, 0, "bfloat16")
    assert recipe.mel == MelConfig()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("learning_rat: 1", "has an unknown key 'learning_rat'; known: .*learning_rate"),
        ("mel: {n_mel: 40}", "mel: has an unknown key 'n_mel'; known: .*n_mels"),
        ("mel: {sample_rate: 44100}", "mel: a hop of 128 samples does not divide .* 126 or 140"),
        ("mel: {hop_length: 0}", "mel: 'hop_length' is 0; it must be at least 1"),
        ("mel: 40", "'mel' must be a mapping"),
        ("mel:", "'mel' must be a mapping"),
        ("model: [1, 2]", "'model' must be of type dict"),
        ("options:", "'options' must be of type dict, not None"),
        ("steps: 1.5", "'steps' must be of type int, not 1.5"),
        ("steps: many", "'steps' must be of type int, not 'many'"),
        ("steps: true", "'steps' must be of type int, not True"),
        # YAML takes a number with an exponent and without a point for text.
        ("learning_rate: 2e-3", "'learning_rate' must be of type float, not '2e-3'; write 2e-3 as"),
        ("precision: float16", "'float16' is neither bfloat16 nor float32"),
        ("decay_steps: 91", "together exceed steps"),
        ("steps: 0", "'steps' must be more than 0"),
        ("batch_size: -4", "'batch_size' must be more than 0, not -4"),
        ("validate_every: 0", "'validate_every' must be more than 0"),
        ("checkpoint_every: 0", "'checkpoint_every' must be more than 0"),
        ("optimizer: sgd", "optimizer 'sgd' is unknown; known: adam, adamw, muon"),
        ("matrix_learning_rate: 0.1", "is muon's; the optimizer is adam"),
        ("matrix_learning_rate: -0.1", "must not be negative"),
        ("weight_decay: 0.1", "is that of adamw and muon; the optimizer is adam"),
        ("weight_decay: .inf", "must not be negative"),
        ("ema_decay: 1.0", "ema_decay must be from 0 to less than 1, not 1.0"),
        ("learning_rate: .nan", "'learning_rate' must be more than 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(line: str, message: str, tmp_path: Path) -> None:
    key = line.partition(":")[0]
    kept = [other for other in MINIMAL.splitlines() if not other.startswith(key + ":")]
    (tmp_path / "recipe.yaml").write_text("\n".join([*kept, line]))
    with pytest.raises(InputError, match=message):
        read_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_recipes_of_editors_are_read(encoding: str, tmp_path: Path) -> None:
    text = MINIMAL + "status: Études\r\n"
    (tmp_path / "recipe.yaml").write_text(text, encoding=encoding)
    assert read_recipe(tmp_path / "recipe.yaml").status == "Études"


@pytest.mark.parametrize("key", ["license", "attribution"])
def test_what_belongs_to_the_data_is_sent_there(key: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(MINIMAL + f"{key}: MIT\n")
    with pytest.raises(InputError, match=f"'{key}' belongs to the data; .*prepare --{key}"):
        read_recipe(tmp_path / "recipe.yaml")


def test_settings_replace_what_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(MINIMAL.replace("options: {}", "options: {loss: tanh}"))
    settings = ["options.loss=abs", "mel.n_mels=40", "seed=7", "learning_rate=0.01"]
    recipe = read_recipe(tmp_path / "recipe.yaml", settings)
    assert recipe.options == {"loss": "abs"}
    assert (recipe.mel.n_mels, recipe.seed, recipe.learning_rate) == (40, 7, 0.01)
    assert recipe.steps == 100


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("options.loss", "--set options.loss: is not of the form key=value"),
        ("=3", "--set =3: is not of the form key=value"),
        ("steps.more=3", "--set steps.more=3: 'steps' is not a mapping"),
        ("options=[1", r"--set options=\[1: '\[1' is not a value in YAML"),
        ("step=3", "has an unknown key 'step'"),
        ("steps=many", "'steps' must be of type int, not 'many'"),
    ],
)
def test_settings_that_are_none_are_refused(setting: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(MINIMAL)
    with pytest.raises(InputError, match=message):
        read_recipe(tmp_path / "recipe.yaml", [setting])


def test_missing_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(MINIMAL.replace("batch_size: 4\n", ""))
    with pytest.raises(InputError, match=r"is not a complete recipe \(.*batch_size"):
        read_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"task: [mel2mel\n", "is not YAML"),
        (b"a: b: c", "is not YAML"),
        (b"\xff\xfe\x00task", "is text in UTF-16; save it as UTF-8"),
        ("# étude\n".encode("latin-1"), "is not text in UTF-8"),
        (b"just words", "is not a recipe"),
        (b"", "is not a recipe"),
        (b"- task", "is not a recipe"),
        (b"!!python/object/apply:os.getcwd []", "is not YAML"),
    ],
)
def test_what_is_no_recipe_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_recipe(tmp_path / "recipe.yaml")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        read_recipe(tmp_path / "none.yaml")


def test_options_of_the_task_are_checked() -> None:
    with pytest.raises(InputError, match="options: has an unknown key 'los'"):
        known(Mel2MelOptions, {"los": "abs"}, "options")
    with pytest.raises(InputError, match="loss 'l2' is unknown; known: abs, log-abs, tanh"):
        known(Mel2MelOptions, {"loss": "l2"}, "options")
    with pytest.raises(InputError, match="crops of 66 frames cannot be divided into hops of 16"):
        known(Mel2MelOptions, {"crop_frames": 66}, "options")


def test_rate_warms_up_stays_and_falls_to_zero() -> None:
    recipe = small_recipe(steps=100, learning_rate=0.4, warmup_steps=4, decay_steps=20)
    rates = [recipe.learning_rate_at(step) for step in range(101)]
    assert rates[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert rates[4:81] == pytest.approx([0.4] * 77)
    assert rates[81] == pytest.approx(0.4 * 19 / 20)
    assert rates[90] == pytest.approx(0.2)
    assert rates[99] == pytest.approx(0.02)  # the last step
    assert rates[100] == 0


def test_rate_stays_without_warm_up_and_decay() -> None:
    recipe = small_recipe(steps=10, learning_rate=0.4, warmup_steps=0, decay_steps=0)
    assert {recipe.learning_rate_at(step) for step in range(10)} == {0.4}


def test_recipe_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        small_recipe().steps = 5  # type: ignore[misc]
