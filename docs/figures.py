"""Figures in pages come from files: what stands between `<!--= NAME -->` and `<!--/=-->` is filled in from them.

    python docs/figures.py            # rewrite the pages
    python docs/figures.py --check    # only say which are out of step; exits with 1

Files are those that benchmarks keep (benchmarks/results, by benchmarks/record.py), the facts of the shipped models
(tinyse/released) and what was counted of their firmware (tinyse/boards/counted.json). NAME is `FILE: TABLE` for a table of
a benchmark, `FILE: TABLE: ROW: COLUMN` for one of its cells, or one of `facts()`. A shipped model's LADSPA label, which ends in
the model's hash, is renewed wherever it stands: commands, where it is used, can have no marks.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from firmware_export.plugins import denoiser, label
from tinyse.boards.boards import find_board
from tinyse.boards.measurements import Measurement, counted
from tinyse.config import did_you_mean, renamed
from tinyse.errors import InputError
from tinyse.evaluation.report import markdown_rows
from tinyse.evaluation.statistics import Summary
from tinyse.files import sha256, write_text
from tinyse.presets import PRESETS
from tinyse.released import DEFAULT, FOLDER, find, names, weights

ROOT = Path(__file__).resolve().parent.parent
OPEN = ROOT / "tinyse" / "catalog" / "open.csv"
RESULTS = ROOT / "benchmarks" / "results"
MARKED = re.compile(r"<!--= (?P<name>[^>]*?) -->(?P<text>.*?)<!--/=-->", re.DOTALL)
LABEL = re.compile(r"\btinyse_(student_\w+?)_[0-9a-f]{8}\b")
"""A LADSPA label."""
MARK = re.compile(r"^<!--(= [^>]*? |/=)-->\n|<!--(= [^>]*? |/=)-->", re.MULTILINE)
"""A mark; with its line where it stands alone on one."""
QUOTED = re.compile(r"(`<!--= [^`\n]*<!--/=-->`)")
"""A mark as code: a page says what marks look like."""
BOARD = "STM32F446"
"""The board that pages give a time for: a Cortex-M4F of 2014 whose flash has to be waited for."""
BEST_SCHEDULE = "two-step, view bin, share=0.4, rate=16e-3, then=8e-3"
INTS = "int8 stream (TFLM)"

TRAINED = {"student-62k": (24.1, 95.0), "teacher": (449.8, 17.5)}
"""MMAC/s, and seconds of audio in which an update learns per second of one core (AMD EPYC, float32): python
benchmarks/training.py $TINYSE_DATA, idle; and the table of benchmarks/README.md for the teacher."""
QUANTIZED = 6.4
"""How many times as long quantization-aware training takes: the same table, student by quantized."""
DISTILLED = 2.9
"""How many times as long an update takes that the teacher teaches: the same table, student by distillation."""
WATTS, DOLLARS = 10, 0.05
"""Assumed of a server's core: power with memory and cooling, and an hour's price in a cloud."""

Rows = Sequence[Sequence[str]]


def pages() -> list[Path]:
    """All that may have marks."""
    kinds = ("README.md", "docs/**/*.md", "benchmarks/*.md", "tinyse/released/*/card.md")
    return sorted(path for kind in kinds for path in ROOT.glob(kind))


def filled(text: str, lookup: Callable[[str], str]) -> str:
    """A page with every mark's text as `lookup` has it now. Raises InputError for a name that it does not know."""

    def renewed(match: re.Match[str]) -> str:
        value = lookup(match["name"])
        block = "\n\n" if "\n" in value else ""
        if not block and (match.start() == 0 or text[match.start() - 1] == "\n"):
            # Markdown takes a line that begins with a comment for HTML, and ends the paragraph there.
            raise InputError(f"a mark within a paragraph may not begin its line: {match['name']}")
        return f"<!--= {match['name']} -->{block}{value}{block}<!--/=-->"

    return LABEL.sub(lambda match: plugin_label(match[1].replace("_", "-")), MARKED.sub(renewed, text))


@cache
def plugin_label(name: str) -> str:
    """The LADSPA label of a shipped model. Raises InputError for an unknown name."""
    return label(denoiser(find(name)))


def without_marks(text: str) -> str:
    """A page as the site shows it."""
    parts = QUOTED.split(text)
    return "".join(part if QUOTED.fullmatch(part) else MARK.sub("", part) for part in parts)


def lookup(name: str) -> str:
    """What a mark stands for. Raises InputError for an unknown one."""
    if name in facts():
        return facts()[name]
    file, *rest = name.split(": ", 1)
    wanted = rest[0] if rest else ""
    tables = kept(file)
    for title, table in tables.items():
        if wanted == title:
            return markdown(table["header"], table["rows"])
        if wanted.startswith(f"{title}: "):
            return cell(table, wanted.removeprefix(f"{title}: "), name)
    raise InputError(f"there is no figure {name!r}{did_you_mean(name, [*facts(), *(f'{file}: {t}' for t in tables)])}")


def cell(table: Mapping[str, Any], place: str, name: str) -> str:
    """The text at `ROW: COLUMN`; both may have colons of their own."""
    for row in table["rows"]:
        for column, value in zip(table["header"][1:], row[1:], strict=True):
            if place == f"{row[0]}: {column}":
                return str(value)
    raise InputError(f"there is no figure {name!r}: its table has rows {', '.join(row[0] for row in table['rows'])} and "
                     f"columns {', '.join(table['header'][1:])}")  # fmt: skip


@cache
def kept(file: str) -> dict[str, Any]:
    """The tables of a file of benchmarks/results; none where it is not there."""
    path = RESULTS / f"{file}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def markdown(header: Sequence[str], rows: Rows, bold: Sequence[str] = ()) -> str:
    """A table; rows whose first cell is in `bold` have it bold."""
    shown = [[f"**{row[0]}**" if row[0] in bold else row[0], *row[1:]] for row in rows]
    return "\n".join(markdown_rows(header, shown))


@cache
def facts() -> dict[str, str]:
    """What is derived: by name, as pages write it."""
    now = kept("installs")["now"]["rows"]
    found = {
        "installs: base": f"{now[0][3]} MB",
        "installs: more for training": f"+{(int(now[1][3]) - int(now[0][3])) / 1000:.1f} GB",
        "training_speed": training_speed(),
        "peers": peers(),
        "peers: README": peers_for_readme(),
        "two_step: summary": two_steps(),
        "chain": chain(DEFAULT),
        "models": ", ".join(f"[{name}](../tinyse/released/{name}/card.md)" for name in by_size()),
        "boards: models": models(),
        "preset: recognition": f"{PRESETS['recognition']} dB",
        "rebuild": rebuild(),
        "open.csv": f"`{sha256(OPEN)}`",
        "quantization: loss": kept("quantization")[DEFAULT]["rows"][-1][1].split(" ±")[0],
    }
    schedules = kept("two_step")["schedules"]
    for column in schedules["header"]:
        if column.endswith(": against supervised only"):
            size = column.split(": ")[0].removeprefix("student-")
            found[f"two_step: gain at {size}"] = cell(schedules, f"{BEST_SCHEDULE}: {column}", "two_step")
    base, *extras = (row for row in kept("installs")["extras"]["rows"])
    found |= {f"installs: more for {row[1]}": f"+{int(row[3]) - int(base[3])} MB" for row in extras}
    for name in names():
        found[f"recognition: {name}"] = recognition(name)
        found |= {f"{name}: {fact}": value for fact, value in of_model(name).items()}
    for name in weights():
        found[f"elsewhere: {name}"] = elsewhere(name)
    return found


def by_size() -> list[str]:
    """The shipped models, the largest first."""
    return sorted(names(), key=lambda name: released(name, "card")["parameters"], reverse=True)


@cache
def released(name: str, file: str) -> dict[str, Any]:
    """A JSON file of a shipped model."""
    return json.loads((FOLDER / name / f"{file}.json").read_text(encoding="utf-8"))


def on_core(name: str, core: str) -> Measurement:
    """What was counted of a shipped model's firmware."""
    digest = released(name, "card")["sha256"]["model.tflite"]
    return next(one for one in counted() if (one.model, one.core) == (digest, core))


def load_percent(name: str, board_name: str) -> float:
    """Of the time between two hops, what a shipped model takes on a board whose core's cycles are modeled."""
    board = find_board(board_name)
    counted_there = on_core(name, board.core.name)
    cycles = (counted_there.modeled_cycles or 0) + board.wait_states * counted_there.flash_lines
    hop_ms = released(name, "card")["recipe"]["front_end"]["hop_ms"]
    return 100 * cycles / board.clock_hz / (hop_ms / 1000)


def of_model(name: str) -> dict[str, str]:
    """A shipped model's own figures."""
    card, report, scores = (released(name, file) for file in ("card", "report", "scores"))
    if name not in kept("firmware"):
        raise InputError(
            f"the firmware of {name} was not counted: python benchmarks/firmware.py {name} --results {name}"
        )
    firmware = next(row for row in kept("firmware")[name]["rows"] if row[0] == "Cortex-M4F")
    flash, ram = (int(size.replace(",", "")) for size in firmware[1:3])
    m4, m55 = on_core(name, "Cortex-M4"), on_core(name, "Cortex-M55")
    hop_ms = card["recipe"]["front_end"]["hop_ms"]
    load = load_percent(name, BOARD)
    clean, noise = scores["clean_speech"][INTS], scores["noise_only"][INTS]
    noisy, after = scores["summary"]["noisy"], scores["summary"][INTS]
    return {
        "parameters": f"{card['parameters']:,}",
        "MAC per frame": f"{report['macs']:,}",
        "MMAC/s": f"{report['macs'] * 1000 / hop_ms / 1e6:.1f}",
        "state bytes": f"{report['state_bytes']:,}",
        "flash": f"{flash / 1000:.0f} kB",
        "RAM": f"{ram / 1000:.1f} kB",
        "instructions": f"{(m4.instructions or 0) / 1000:.0f} k",
        "instructions on a Cortex-M55": f"{(m55.instructions or 0) / 1000:.0f} k",
        f"ms on {BOARD}": f"{load * hop_ms / 100:.1f} ms",
        f"load of {BOARD}": f"{load:.0f} %",
        "SI-SDR": f"{after['si_sdr']['mean']:.2f}",
        "SI-SDR gain": f"{after['si_sdr']['mean'] - noisy['si_sdr']['mean']:.2f}",
        "float SI-SDR": f"{scores['summary']['float stream']['si_sdr']['mean']:.2f}",
        "clean speech": f"{clean['si_sdr']['mean']:.1f}",
        "float clean speech": f"{scores['clean_speech']['float stream']['si_sdr']['mean']:.1f}",
        "noise alone": f"{noise['attenuation_db']['mean']:.0f}",
        "worse pairs": f"{scores['worse_than_noisy_percent'][INTS]['si_sdr']:.0f} %",
    }


def models() -> str:
    """The shipped models' firmware."""
    columns = ("parameters", "MAC per frame", "state bytes", "flash", "RAM", "instructions")
    rows = [[name, *(of_model(name)[column] for column in columns)] for name in by_size()]
    return markdown(("model", *columns[:-1], "instructions per hop"), rows)


def chain(name: str) -> str:
    """Every link's scores; the C code equals TFLM bit for bit, so it has no figures of its own."""
    scores = released(name, "scores")["summary"]
    measures = {"si_sdr": 2, "sdr": 2, "pesq": 3, "stoi": 3, "estoi": 3, "level_change_db": 2}
    parent = kept("evaluate")["float parent"]
    rows = []
    for backend, values in scores.items():
        cells = [Summary(**values[key]).as_text(decimals) for key, decimals in measures.items()]
        rows.append([backend, *cells])
        if backend == "noisy":
            rows += parent["rows"]
    rows.append(["C on the host, C on eight emulated cores", "= TFLM", *["="] * (len(measures) - 1)])
    return markdown((f"70 pairs, {name}", *parent["header"][1:]), rows)


def systems() -> dict[str, dict[str, Any]]:
    """What each system is, by name: benchmarks/systems.json."""
    return json.loads((ROOT / "benchmarks/systems.json").read_text(encoding="utf-8"))


def scored() -> Iterator[tuple[str, dict[str, str]]]:
    """Each system's scores, ours first; those that are quoted last."""
    for table in (kept("peers")["systems"], kept("peers")["quoted"]):
        for name, *values in table["rows"]:
            yield name, dict(zip(table["header"][1:], values, strict=True))


def peers() -> str:
    """All systems that were run, with what they are."""
    table = kept("peers")["systems"]
    rows = [[row[0], *_is(row[0]), *row[1:]] for row in table["rows"]]
    return markdown(("system", "deployed as", "parameters", "MMAC/s", *table["header"][1:]), rows, names())


def peers_for_readme() -> str:
    """What a stranger asks first, of the systems that one would pick."""
    columns = ("SI-SDR gain dB", "SDR dB", "PESQ-WB", "ESTOI", "clean dB")
    rows = [
        [name, *_is(name), *(values[column] for column in columns)]
        for name, values in scored()
        if values.get("clean dB") and name != "noisereduce"
    ]
    return markdown(("system", "deployed as", "parameters", "MMAC/s", *columns[:-1], "clean speech dB"), rows, names())


def _is(name: str) -> list[str]:
    """A system's form, parameters and MMAC/s, as far as they are known."""
    if name in names():
        return ["int8 weights and activations", _count(released(name, "card")["parameters"]), of_model(name)["MMAC/s"]]
    known = systems().get(name, {})
    return [str(known.get("deployed", "")), _count(known.get("parameters")), f"{known.get('mmac_per_s', '')}"]


def _count(number: int | None) -> str:
    if number is None:
        return ""
    return f"{number / 1e6:.2f} M" if number >= 1e6 else f"{number / 1000:.0f} k"


def recognition(name: str) -> str:
    """Word errors of a recognizer against the strength, of a shipped model: its rows of the test split."""
    table = kept("recognition").get("test", {"header": (), "rows": ()})
    rows = [row for row in table["rows"] if row[0] == "noisy" or row[0].startswith(f"{name}, ")]
    if len(rows) < 2:
        return markdown(("at most", "word errors"), [["any", "not measured yet"]])
    shown = [[row[0].removeprefix(f"{name}, "), *row[1:]] for row in rows]
    return markdown(("at most", *table["header"][1:]), shown)


def elsewhere(name: str) -> str:
    """Sound from elsewhere: a shipped model's row, the noisy sound's, and that of the system whose gap is taken off."""
    table = kept("elsewhere").get("test", {"header": ("",), "rows": ()})
    against = table["header"][-1].removeprefix("less the gap of ")
    ours = [row for row in table["rows"] if row[0].startswith(f"{name}, ")]
    if not ours:
        return markdown(("system", "SI-SDR gain"), [[name, "not measured yet"]])
    rows = [row for row in table["rows"] if row[0] in ("noisy", against) or row in ours]
    return markdown(table["header"], rows)


def two_steps() -> str:
    """Three schedules that sum the comparison up."""
    chosen = {
        "supervised only, rate=8e-3": "supervision only, at its best rate",
        "weighted mixture, fine-grained (view frame), rate=8e-3": "both losses at once, view `frame`, at its best rate",
        BEST_SCHEDULE: "two steps, view `bin`",
    }
    table = kept("two_step")["schedules"]
    rows = {row[0]: row for row in table["rows"]}
    header = ("schedule", *(title for title in table["header"][1:] if "seeds" not in title))
    places = [table["header"].index(title) for title in header[1:]]
    return markdown(header, [[text, *(rows[name][place] for place in places)] for name, text in chosen.items()])


def rebuild() -> str:
    """What made each shipped model, by its own header's recipe, and what doing it again costs; estimated."""
    rows, totals = [], [0.0, 0.0]
    for name in by_size():
        card = released(name, "card")
        # s of one core per s of audio: a straight line in multiply-accumulates through the two that were measured.
        (small, fast), (large, slow) = (TRAINED[each] for each in ("student-62k", "teacher"))
        mmacs = float(of_model(name)["MMAC/s"])
        cost = 1 / fast + (1 / slow - 1 / fast) * (mmacs - small) / (large - small)
        audio = core = 0.0
        for stage in card["recipe"]["stages"].values():
            heard = stage["updates"] * stage["batch"] * stage["seconds"]
            audio += heard
            core += (
                heard * cost * (QUANTIZED if renamed(stage)["quantize"] else DISTILLED if stage["distillation"] else 1)
            )
        totals = [totals[0] + audio / 3600, totals[1] + core / 3600]
        heard_of = {corpus for part in card["data"].values() for corpus in part["corpora"]}
        sets = [each for each, member in (("packages", "festvox-ru"), ("games", "megaglest")) if member in heard_of]
        manifests = ", ".join(f"{each}/manifest.csv" for each in ("open", *sets))
        data = f"'data=[{manifests}]'" if sets else f"data={manifests}"
        named = "" if Path(card["recipe_file"]).stem == name else f" --name {name}"
        command = f"`python -m tinyse.released.pack {card['recipe_file']}{named} --set {data}`"
        rows.append(
            [name, command, f"{audio / 3600:.0f} h", f"{core / 3600:.1f} h", f"`{card['data_hash'].split('-')[0]}`"]
        )
    kwh, dollars = totals[1] * WATTS / 1000, totals[1] * DOLLARS
    rows.append(["all", "", f"{totals[0]:.0f} h", f"{totals[1]:.1f} h, {kwh:.2f} kWh, {dollars:.2f} USD", ""])
    return markdown(("model", "command", "audio heard", "of one core", "data"), rows)


def training_speed() -> str:
    """Two machines side by side."""
    tables = kept("training_speed")
    header = ["model", *(f"{title}, {machine}" for machine, table in tables.items() for title in table["header"][1:])]
    rows = [
        [first[0], *(cell for part in parts for cell in part[1:])]
        for first, *others in zip(*(table["rows"] for table in tables.values()), strict=True)
        for parts in [(first, *others)]
    ]
    return markdown(header, rows)


def out_of_step() -> dict[Path, str]:
    """Pages whose figures are not those of the files, each as it should be."""
    texts = {page: page.read_text(encoding="utf-8") for page in pages()}
    return {page: renewed for page, text in texts.items() if (renewed := filled(text, lookup)) != text}


def main() -> int:
    """Rewrite or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 where a page is out of step")
    arguments = parser.parse_args()
    wrong = out_of_step()
    for page, text in wrong.items():
        print(f"{page.relative_to(ROOT)}: {'out of step' if arguments.check else 'rewritten'}")
        if not arguments.check:
            write_text(page, text)
    return int(arguments.check and bool(wrong))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        sys.exit(f"figures.py: {error}")
