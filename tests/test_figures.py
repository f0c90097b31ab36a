"""Figures in pages are those of the result files, and say what they rest on."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from tinyse.boards.measurements import counted
from tinyse.errors import InputError
from tinyse.evaluation.chain import Scores
from tinyse.evaluation.report import Table
from tinyse.released import find

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "docs"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
import figures
import record

REPOSITORY = Path(__file__).resolve().parent.parent
FILES = sorted((REPOSITORY / "benchmarks/results").glob("*.json"))


def test_pages_are_in_step_with_the_result_files():
    wrong = [str(page.relative_to(REPOSITORY)) for page in figures.out_of_step()]
    assert wrong == [], "python docs/figures.py"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_table_says_what_it_rests_on(path):
    for name, table in json.loads(path.read_text(encoding="utf-8")).items():
        assert table["label"] in ("measured", "modeled", "emulated", "estimated", "quoted"), name
        assert table["machine"] and (table["command"] or table["label"] == "quoted"), name
        assert table["rows"] and {len(row) for row in table["rows"]} == {len(table["header"])}, name
        assert len({row[0] for row in table["rows"]} | {""}) > 1, name
        assert not [word for word in table["command"].split() if word.startswith("/")], name


def test_a_figure_that_was_edited_by_hand_is_seen():
    value = figures.lookup("peers: systems: DTLN: PESQ-WB")
    page = f"in noise <!--= peers: systems: DTLN: PESQ-WB -->{value}<!--/=--> of 4.5"
    assert figures.filled(page, figures.lookup) == page
    assert figures.filled(page.replace(value, "9.999"), figures.lookup) == page
    assert figures.without_marks(page) == f"in noise {value} of 4.5"


def test_a_mark_at_the_end_of_a_line_leaves_the_line_its_end():
    """Else the next item of a list would become one of the list inside."""
    page = "    - The models: <!--= models -->some<!--/=-->\n\n-   **Understand**\n"
    assert figures.without_marks(page) == "    - The models: some\n\n-   **Understand**\n"
    assert figures.without_marks("<!--= a: b -->\n\n| 1 |\n\n<!--/=-->\n\nmore") == "\n| 1 |\n\n\nmore"


def test_a_mark_that_a_page_quotes_stays():
    page = "write: `<!--= FILE: ROW --><!--/=-->` marks the place of <!--= a: b -->1<!--/=-->"
    assert figures.without_marks(page) == "write: `<!--= FILE: ROW --><!--/=-->` marks the place of 1"


def test_a_table_is_filled_in_as_a_block():
    page = figures.filled("<!--= iusp: gains --><!--/=-->", figures.lookup)
    assert "\n\n| student | labels only |" in page and page.endswith("|\n\n<!--/=-->")
    assert figures.filled(page, figures.lookup) == page


@pytest.mark.parametrize(
    ("name", "said"),
    [("peer: systems", "peers"), ("peers: system", "peers: systems"), ("peers: systems: DTLM: STOI", "rows noisy"),
     ("student-62k: flesh", "student-62k: flash")],
)  # fmt: skip
def test_an_unknown_figure_is_refused_with_what_there_is(name, said):
    with pytest.raises(InputError, match=said):
        figures.lookup(name)


def test_a_mark_may_not_begin_a_line_of_a_paragraph():
    with pytest.raises(InputError, match="may not begin its line"):
        figures.filled("text\n<!--= peers: systems: DTLN: STOI -->1<!--/=--> more", figures.lookup)


BY_CHANCE = {"README.md: +0.54 ± 0.24", "experiments.md: -0.03 ± 0.03", "experiments.md: -0.08 ± 0.19"}
"""Two steps in benchmarks/README.md, whose tables no file holds, have a figure of barking dogs, a teacher that looks ahead
has one of short hops, and another seed of a network has one of synthesis windows."""


def test_no_figure_stands_in_a_page_by_hand():
    """What is told apart by its interval or its digits is nowhere but between marks, where a table of a benchmark has it."""
    known = Counter(
        cell for path in FILES for table in json.loads(path.read_text(encoding="utf-8")).values()
        for row in table["rows"] for cell in row[1:] if re.search(r"±|\d,\d{3}", cell)
    )  # fmt: skip
    found = []
    for page in (page for page in figures.pages() if page.name != "card.md"):  # whose scores come with the model
        text = figures.MARKED.sub("", page.read_text(encoding="utf-8"))
        found += [f"{page.name}: {cell}" for cell in known if re.search(rf"(?<![\d.+-]){re.escape(cell)}(?!\d)", text)]
    assert set(found) == BY_CHANCE


def test_sizes_and_counts_are_of_the_same_firmware():
    """counted.json, by which `tinyse bench` estimates, and the table that pages quote."""
    by_model = {(one.model, one.core): one for one in counted()}
    for name in figures.names():
        digest = figures.released(name, "card")["sha256"]["model.tflite"]
        rows = {row[0]: row for row in figures.kept("firmware")[name]["rows"]}
        for title, core in (("Cortex-M4F", "Cortex-M4"), ("Cortex-M55 (Helium)", "Cortex-M55")):
            _, *_, instructions, cycles, _, lines = rows[title]
            one = by_model[digest, core]
            counts = (one.instructions, one.modeled_cycles, one.flash_lines)
            assert tuple(int(text.replace(",", "")) for text in (instructions, cycles, lines)) == counts


def test_a_benchmark_keeps_its_table_beside_its_others(tmp_path, monkeypatch):
    data = tmp_path / "data"
    monkeypatch.setenv("TINYSE_DATA", str(data))
    monkeypatch.setattr(
        sys,
        "argv",
        ["/anywhere/peers.py", f"{data}/benchmark", "--results", "new", "--packages", "", "--json", "/my/out.json"],
    )
    old = {"old": {"header": ["a"], "rows": [["1"]]}}
    (tmp_path / "peers.json").write_text(json.dumps(old))
    table = Table("any", ("system", "dB"), (("ours", "7.0"),))
    record.keep("new", table, "measured", tmp_path)
    kept = json.loads((tmp_path / "peers.json").read_text())
    assert kept["old"] == old["old"]
    assert kept["new"]["command"] == "python benchmarks/peers.py $TINYSE_DATA/benchmark --packages '' --json out.json"
    assert (kept["new"]["header"], kept["new"]["rows"]) == (["system", "dB"], [["ours", "7.0"]])
    record.keep(None, table, "measured", tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["spectrograms", "page"])
def test_a_picture_of_a_model_shows_the_one_that_ships(name):
    image = pytest.importorskip("PIL.Image").open(REPOSITORY / f"docs/images/{name}.png")
    shipped = hashlib.sha256(find("student-62k").read_bytes()).hexdigest()
    assert image.info.get("model") == shipped, f"python docs/pictures.py student-62k $TINYSE_DATA/benchmark {name}"


def pictures():
    import plots

    return list(plots.PICTURES)


@pytest.mark.parametrize("name", pictures())
def test_a_picture_is_in_step_with_the_result_files(name):
    import drawing
    import plots

    picture = (plots.IMAGES / f"{name}.svg").read_text(encoding="utf-8")
    assert f"<!-- made from {drawing.digest(plots.PICTURES[name][0]())} -->" in picture, "python docs/plots.py"
    assert "prefers-color-scheme:dark" in picture


def test_the_picture_of_all_systems_names_them():
    import drawing
    import plots

    found = plots.systems()
    picture = (plots.IMAGES / "peers.svg").read_text(encoding="utf-8")
    assert [one.name for one in found if f">{one.name}" not in picture] == []
    assert {"student-62k", "RNNoise 0.2", "Ambiq NNSE", "UL-UNAS"} <= {one.name for one in found}
    moved = [found[0]._replace(gain_db=found[0].gain_db + 0.1), *found[1:]]
    assert drawing.digest(moved) != drawing.digest(found)


def test_loads_are_those_of_every_model_that_comes_along():
    import plots

    found = {(one.model, one.board): one.percent for one in plots.loads()}
    assert set(found) == {(name, board) for name in figures.names() for board in plots.LOADED}
    assert f"{found['student-62k', 'STM32F446']:.0f} %" == figures.lookup("student-62k: load of STM32F446")


@pytest.fixture
def third(tmp_path, monkeypatch):
    """One more model of the maintainer's: student-30k's files under another name, with result tables of its own."""
    for name in figures.names():
        shutil.copytree(figures.FOLDER / name, tmp_path / name)
    shutil.copytree(figures.FOLDER / "student-30k", tmp_path / "student-9k")
    tables = {file: json.loads((figures.RESULTS / f"{file}.json").read_text()) for file in ("firmware", "peers")}
    tables["firmware"]["student-9k"] = tables["firmware"]["student-30k"]
    rows = tables["peers"]["systems"]["rows"]
    rows.append(["student-9k", *next(row for row in rows if row[0] == "student-30k")[1:]])
    kept = figures.kept
    known = sorted([*figures.names(), "student-9k"])
    with monkeypatch.context() as changed:
        changed.setattr(figures, "FOLDER", tmp_path)
        changed.setattr(figures, "names", lambda: known)
        changed.setattr(figures, "kept", lambda file: tables.get(file) or kept(file))
        figures.facts.cache_clear()
        yield
    figures.facts.cache_clear()
    figures.released.cache_clear()


def test_another_released_model_needs_no_edit(third, monkeypatch):
    """Figures, tables and pictures go by the folders of tinyse/released."""
    import plots

    assert figures.lookup("student-9k: flash") == figures.lookup("student-30k: flash")
    assert "\n| student-9k | 29,938 |" in figures.lookup("boards: models")
    assert "\n| **student-9k** | int8 weights" in figures.lookup("peers: README")
    assert "[student-9k](../tinyse/released/student-9k/card.md)" in figures.lookup("models")
    assert "student-9k" in {one.name for one in plots.systems()} & {one.model for one in plots.loads()}


def test_a_page_for_every_model_is_in_the_navigation(monkeypatch, tmp_path):
    hooks = pytest.importorskip("hooks", exc_type=ImportError)
    (tmp_path / "tinyse/released/teacher").mkdir(parents=True)
    (tmp_path / "tinyse/released/teacher/card.md").touch()
    for name in figures.names():
        shutil.copytree(figures.FOLDER / name, tmp_path / "tinyse/released" / name)
    monkeypatch.setattr(hooks, "ROOT", tmp_path)
    config = SimpleNamespace(nav=[{"Home": "index.md"}, {"Reference": ["a.md", {"Models": "cards"}]}])
    found = hooks.on_config(config).nav[1]["Reference"][1]["Models"]
    assert found == [{name: f"cards/{name}.md"} for name in (*figures.by_size(), "teacher")]


# Pictures of intervals


def test_an_interval_is_read_as_tables_print_it():
    from intervals import Interval

    assert Interval.read("+0.55 ± 0.22") == (0.55, 0.22) and Interval.read("+0.55 ± 0.22").excludes_zero
    assert not Interval.read("-0.10 ± 0.11").excludes_zero
    assert Interval.read("-") is None and Interval.read("") is None


def two_students() -> Table:
    """Schedules of two students, one of which is not finished."""
    header = ["schedule"]
    for student in ("large", "small"):
        header += [f"{student}: SDR gain dB", f"{student}: against supervised only", f"{student}: seeds"]
    rows = [
        ("supervised only, rate=8e-3", "5.00 ± 1.00", "", "2", "4.00 ± 1.00", "", "1"),
        ("output distillation", "4.80 ± 1.00", "-0.20 ± 0.10", "1", "", "", ""),
        ("two-step, view bin, then=8e-3", "5.40 ± 1.00", "+0.40 ± 0.50", "2", "", "", ""),
    ]
    return Table("any", tuple(header), tuple(rows))


def test_schedules_are_sorted_by_what_they_gain():
    import drawing
    import findings
    from intervals import Row, draw

    picture = findings.two_step([("all pairs", two_students())])
    assert picture.rows == (Row("two-step, view bin", "then 8e-3, 2 seeds", True),
                            Row("output distillation", "the recipe's rate, 1 seed"))  # fmt: skip
    (panel,) = picture.panels  # nothing of the small student can be compared yet
    assert panel.values == ((0.4, 0.5), (-0.2, 0.1)) and "5.00 dB" in panel.zero
    drawn = draw(picture)
    assert "+0.40" in drawn and "\N{MINUS SIGN}0.20" in drawn
    assert [color for color in drawing.LIGHT if color in drawn] == []  # each has become that of a scheme


def test_a_picture_has_a_panel_for_the_lowest_input_snr():
    import findings

    picture = findings.two_step([("all pairs", two_students()), ("-5 dB input SNR", two_students())])
    assert [panel.title for panel in picture.panels] == ["large, all pairs", "large, -5 dB input SNR"]


def test_peers_keep_the_table_that_pages_have():
    import peers

    measures = {"si_sdr": [5.0, 7.0], "sdr": [5.0, 7.0], "pesq": [1.5, 1.7], "stoi": [0.8, 0.9], "estoi": [0.6, 0.7]}
    better = {name: [value + 1 for value in values] for name, values in measures.items()}
    ours, theirs = "tinyse student-62k, int8 stream (TFLM)", "pyrnnoise"
    quality = {"noisy": measures, ours: better, theirs: measures}
    scores = Scores(["a", "b"], [0.0, 5.0], quality, {name: {"si_sdr": [30.0]} for name in (ours, theirs)}, {}, {})
    backends = {name: SimpleNamespace(cpu_seconds=0.5, audio_seconds=10.0) for name in (ours, theirs)}
    table = peers.systems(scores, backends)
    assert list(table.header) == figures.kept("peers")["systems"]["header"]
    assert table.rows[0][:3] == ("noisy", "0", "6.00")
    assert table.rows[1] == ("student-62k", "1.00", "7.00", "2.600", "1.850", "1.650", "0 %", "30.0", "0.050")
    assert table.rows[2][0] == "RNNoise 0.2"


def test_taggers_keep_the_table_that_pages_have():
    import iusp_report
    from iusp_report import Findings, Result, Run

    def result(size, method, seed, score):
        return Result(Run(size, method, "1", seed), 3280, score, 0.5, 0.5, {}, 10, None, 300, 1.0)

    runs = [result("small", method, seed, 0.4 + 0.1 * number + 0.01 * seed) for seed in (0, 1)
            for number, method in enumerate(iusp_report.METHODS)] + [result("teacher", "teacher", 0, 0.7)]  # fmt: skip
    table = iusp_report.quoted(Findings({one.run: one for one in runs}))
    assert list(table.header) == figures.kept("iusp")["gains"]["header"]
    assert [row[0] for row in table.rows] == ["small, 3,280", "teacher, 3,280"]
    assert table.rows[0][1].startswith("0.405 ±") and table.rows[0][2].startswith("+0.100")
    assert table.rows[1][1].startswith("0.700") and set(table.rows[1][2:]) == {""}


def test_quantization_keeps_the_table_that_pages_have(monkeypatch):
    import quantization

    losses = Table("model: loss", ("precision", "SI-SDR dB", "PESQ-WB", "STOI", "worst", "clean"),
                   (("int8", *"12345"), ("int8, trained", *"67890")))  # fmt: skip
    costs = Table("Cost", ("precision", "file bytes", "state bytes", "Vela cycles"), (("int8", *"abc"), ("x", *"def")))
    monkeypatch.setattr(quantization, "tables", lambda found: [losses, losses, costs])
    table = quantization.summary(None)
    assert list(table.header) == figures.kept("quantization")["student-62k"]["header"]
    assert table.rows == (("int8 after training", *"12345", "b", "c"), ("int8, trained", *"67890", "e", "f"))
