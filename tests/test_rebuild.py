"""The page on rebuilding the released models says what their own headers say."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tinyse import released
from tinyse.catalog import read_catalog
from tinyse.config import as_dict, build
from tinyse.files import sha256
from tinyse.models.files import load_tensors
from tinyse.recipe import Recipe
from tinyse.training.recipe import load_recipe

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/how-to/rebuild.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| (\S+) \| `(python -m tinyse\.released\.pack (\S+)[^`]*)` \| (\d+) h \| ([\d.]+) h \| `(\w+)` \|$", PAGE, re.M
)

sys.path.insert(0, str(ROOT / "docs"))
import figures  # noqa: E402


def header_of(name: str) -> dict:
    return load_tensors(released.FOLDER / name / "model.safetensors")[1]


def decisive(recipe: Recipe) -> dict:
    """What of a recipe decides the weights: all but where sound and results lie, and what the machine settles."""
    of_the_place = ("data", "output", "threads", "workers", "precision")
    return {key: value for key, value in as_dict(recipe).items() if key not in of_the_place}


def test_the_page_lists_every_released_model_with_its_recipe_and_data():
    assert sorted(row[0] for row in ROWS) == released.names()
    for name, command, recipe, hours, _, data in ROWS:
        header = header_of(name)
        assert recipe == figures.released(name, "card")["recipe_file"] and "open/manifest.csv" in command
        heard = sum(
            each["updates"] * each["batch"] * each["seconds"] for each in header["whole_recipe"]["stages"].values()
        )
        assert int(hours) == round(heard / 3600) and header["data_hash"].startswith(f"{data}-")


def test_the_corpora_that_recipes_draw_more_often_are_called_as_they_are_fetched():
    fetched = {corpus.corpus or name for name, corpus in read_catalog().corpora.items()}
    shares = {
        corpus: (name, stage)
        for name in released.names()
        for stage, values in header_of(name)["whole_recipe"]["stages"].items()
        for corpus in ((values["mixture"] or {}).get("corpus_shares") or {})
    }
    assert shares and set(shares) - fetched == {"coswara"}, "which the page says"
    assert "Coswara is not in the list" in PAGE


@pytest.mark.parametrize("name", released.weights())
def test_the_recipe_in_the_repository_is_the_one_in_the_header(name):
    given = header_of(name)["whole_recipe"]
    given = {key: value for key, value in given.items() if key != "tagging"}  # a task's own keys, of another task
    made, now = build(Recipe, given), load_recipe(ROOT / figures.released(name, "card")["recipe_file"], [])
    assert decisive(made) == decisive(now)


@pytest.mark.parametrize(
    ("heard", "data"),
    [
        ([], "data=open/manifest.csv`"),
        (["festvox-ru"], "'data=[open/manifest.csv, packages/manifest.csv]'`"),
        (["festvox-ru", "megaglest"], "'data=[open/manifest.csv, packages/manifest.csv, games/manifest.csv]'`"),
    ],
)
def test_a_model_that_heard_more_sets_is_rebuilt_with_them(heard, data, monkeypatch):
    def with_corpora(name: str, file: str) -> dict:
        facts = dict(before(name, file))
        if file == "card":
            facts["data"] = {"speech": {"corpora": dict.fromkeys(["librispeech", *heard])}}
        return facts

    before = figures.released
    monkeypatch.setattr(figures, "released", with_corpora)
    rows = [row for row in figures.rebuild().splitlines() if "released.pack" in row]
    assert rows and all(f"--set {data}" in row for row in rows)


def test_a_model_whose_recipe_has_another_name_is_packed_under_its_own():
    for name, command, recipe, *_ in ROWS:
        assert (f"--name {name} " in command) is (Path(recipe).stem != name)


def test_the_hours_are_what_the_formula_of_the_page_gives():
    """An update of student-62k costs 1/95 in float, 2.9 times that with a teacher, 6.4 times that in integers."""
    (row,) = (row for row in ROWS if row[0] == "student-62k")
    distilled, supervised, integers = 943 * 128, 5321 * 128 + (2000 + 5000 + 2000) * 64, 80 * 192
    assert float(row[4]) == pytest.approx((2.9 * distilled + supervised + 6.4 * integers) / 95 / 3600, abs=0.05)
    for text in ("1/95", "1/17.5", "6.4 times", "2.9 times", "10 W per core", "0.05 USD"):
        assert text in PAGE


def test_the_list_of_recordings_is_the_one_that_the_page_names():
    (digest,) = re.findall(r"open\.csv --> ?`(\w{64})`<!--", PAGE) or re.findall(r"`(\w{64})`", PAGE)
    assert digest == sha256(ROOT / "tinyse/catalog/open.csv")


def test_the_download_is_as_large_as_the_page_says():
    catalog = read_catalog()
    assert sum(catalog.corpora[name].megabytes for name in catalog.sets["open"]) == pytest.approx(2000, abs=100)
    assert "2 GB of download" in PAGE
