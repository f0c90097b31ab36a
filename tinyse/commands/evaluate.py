"""`tinyse evaluate`: score a model on noisy and clean pairs, backend by backend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinyse.commands.options import FromRecipe, listed, networks_in
from tinyse.corpus import BUILT_IN
from tinyse.errors import needs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinyse.evaluation.chain import Scores
    from tinyse.evaluation.pairs import Pair
    from tinyse.models.making import Networks

ENDINGS = (".json", ".md")
MEASURES = "si_sdr,sdr,pesq,stoi,estoi,level_change_db,segmental_snr, and of wer,dnsmos,distillmos"


def evaluate(
    model: Annotated[Path, typer.Argument(help="A .safetensors (with its .tflite beside it), a .tflite or a name.")],
    data: Annotated[Path, typer.Argument(help=f"A folder of pairs: see above, or {BUILT_IN}.")],
    quantized_model: Annotated[Path | None, typer.Option("--int8", help="The .tflite that belongs to MODEL.")] = None,
    backends: Annotated[str, typer.Option(help="Of float-clip,float-stream,litert,tflm,c,reference.")] = "",
    links: Annotated[str, typer.Option("--links", hidden=True, help="The former name of --backends.")] = "",
    metrics: Annotated[str, typer.Option(help=f"Of {MEASURES}.")] = "",
    attenuation_limit_db: Annotated[
        str, typer.Option(metavar="DB", help="Score each backend at these attenuation limits: 6,12.")
    ] = "",
    purpose: Annotated[
        str, typer.Option("--for", metavar="PRESET", help="And at the limits of these presets: listening,recognition.")
    ] = "",
    limit: Annotated[int | None, typer.Option(help="Score only the first N pairs.")] = None,
    processes: Annotated[int, typer.Option(help="Processes that compute the measures.")] = 2,
    dnsmos: Annotated[
        Path | None, typer.Option(help="Another DNSMOS network than the package's sig_bak_ovr.onnx.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="A folder for scores.json and scores.md.")] = None,
    recipe: FromRecipe = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Score MODEL on the pairs in DATA: every backend of its chain, on noisy clips, clean speech and noise alone.

    After an error, Ctrl-C, SIGTERM or SIGHUP, the scores so far are in OUTPUT/scores-partial.json, or on the screen.

    DATA is a folder with clean/ and noisy/, optionally with pairs.csv (`tinyse data pairs` makes one of your recordings), the
    output of `tinyse data preview`, or a test set of VoiceBank-DEMAND or the DNS-Challenge as downloaded; or built-in, the
    six pairs that come with tinyse. A model of speech activity is scored by the area under its ROC curve, float and
    quantized.

    The measures wer (word errors of a speech recognizer), dnsmos and distillmos need the extra judges. For wer,
    DATA/transcripts.txt contains what is said: a line NAME TEXT per pair, as in LibriSpeech's .trans.txt.
    """
    from functools import partial

    from rich.console import Console

    from tinyse import corpus, files
    from tinyse.evaluation import chain, report
    from tinyse.evaluation.backends import backends_for, rate_of
    from tinyse.evaluation.checks import check_headers, check_transcripts
    from tinyse.evaluation.pairs import find_pairs
    from tinyse.presets import limits_for
    from tinyse.progress import counted, note
    from tinyse.released import find

    pairs = find_pairs(corpus.pairs() if corpus.is_meant(data) else data, limit)
    check_headers(pairs)  # what is wrong with the last pair must not cost the scores of the others
    if (task := _task_of(find(str(model)))) is not None:
        _by_its_task(task, find(str(model)), quantized_model, pairs, networks_in(recipe), output, as_json)
        return
    limits_db = limits_for(listed(purpose), listed(attenuation_limit_db))
    measures = listed(metrics) or chain.DEFAULT_METRICS
    if "wer" in measures:
        check_transcripts(pairs)
    chosen = backends_for(model, quantized_model, listed(backends or links), networks_in(recipe), limits_db)
    with counted("pairs", len(pairs)) as advance:
        keep = partial(_keep, output, len(pairs))
        scores = chain.score(chosen, pairs, measures, processes, dnsmos, advance, keep, rate_of(model))
    for notice in scores.notices:
        note(notice)
    if output is not None:
        files.write_json(output / "scores.json", report.as_json(scores))
        files.write_text(output / "scores.md", report.as_markdown(report.tables(scores)))
        for ending in ENDINGS:
            (output / f"scores-partial{ending}").unlink(missing_ok=True)
    if as_json:
        print(json.dumps(report.as_json(scores), indent=2, allow_nan=False))
        return
    console = Console()
    report.print_tables(report.tables(scores), console)


def _task_of(model: Path) -> str | None:
    """The task of a model that gives probabilities; None for one that gives sound."""
    from tinyse.evaluation.backends import header_of

    if model.suffix not in (".tflite", ".safetensors"):
        return None  # not a model: opening it will say so
    facts = header_of(model)
    return str(facts.get("task")) if "classes" in facts else None


def _by_its_task(
    task: str,
    model: Path,
    quantized: Path | None,
    pairs: Sequence[Pair],
    networks: Networks,
    output: Path | None,
    as_json: bool,
) -> None:
    """Score a model whose result is not sound by what its task measures."""
    from rich.console import Console

    from tinyse import files
    from tinyse.evaluation.report import as_markdown, print_tables

    with needs("train"):
        from tinyse.tasks import task_named
    quantized = quantized or model.with_suffix(".tflite")
    backends = {"quantized" if model.suffix == ".tflite" else "float": model}
    if quantized.is_file() and quantized != model:
        backends["quantized"] = quantized
    tables, facts = task_named(task).score_pairs(backends, pairs, networks)
    if output is not None:
        files.write_json(output / "scores.json", facts)
        files.write_text(output / "scores.md", as_markdown(tables))
    if as_json:
        print(json.dumps(facts, indent=2, allow_nan=False))
        return
    console = Console()
    print_tables(tables, console)


def _keep(output: Path | None, total: int, scores: Scores) -> None:
    """Leave what was scored before the run was ended: in files, or else on the screen, where it disturbs no pipe."""
    from rich.console import Console

    from tinyse import files
    from tinyse.evaluation import report
    from tinyse.progress import note

    if output is None:
        report.print_tables(report.tables(scores), Console(stderr=True))
        note(f"ended after {len(scores.files)} of {total} pairs; --output FOLDER keeps their scores")
    else:
        files.write_json(output / "scores-partial.json", report.as_json(scores))
        files.write_text(output / "scores-partial.md", report.as_markdown(report.tables(scores)))
        place = output / "scores-partial.json"
        note(f"the scores of {len(scores.files)} of {total} pairs are in {place}")
