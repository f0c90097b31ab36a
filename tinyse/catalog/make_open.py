"""The list behind `tinyse data get open`: the files that the released models were trained and chosen on, and where they lie.

    python -m tinyse.catalog.make_open DATA

reads the manifests in DATA (`manifests/{speech,noise}_{train,valid,test}.csv`: path, speaker or class, source, corpus,
license, ship) and writes `open.csv` beside this file: of every recording that may ship the split that it had, and its path at
its publisher's. For maintainers. Recordings that no address is known of, and rooms, are not in it; the command says how much
that is.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tinyse.catalog.entries import LIST_COLUMNS, Listed
from tinyse.files import write_text
from tinyse.recordings.manifest import SPLITS, Kind, rows_of

TARGET = Path(__file__).with_name("open.csv")
_LJ_OTHERS = {3, 4, 11, 17, 22, 23, 24, 27, 29, 30, 31, 32}
_MOTORS = {  # folder -> speeds and takes
    "c8b892060e37234b9d965f6bce4cd301d9568d11/clips/no-prop/m1/motor_m1_no_prop_": "30_005 50_001 50_004 60_006 70_003 70_004 "
    "80_002 80_003 80_004",
    "0d05fb51c8b136ab3bc443dc15f9c0f1b3c40ef5/clips/no-prop/motor_m1_no_prop_": "20_002 20_003 20_004 20_005 30_002 50_002 "
    "50_003 60_001 60_002 60_003 70_001 70_002 80_001",
    "a1fa3d71e0d8946568c49520970f328646a2f55e/clips/prop/m1/motor_m1_prop_": "20_001 30_001 40_003 50_001 50_002",
}
_MOTOR_PATHS = {
    f"{start.rpartition('/')[2]}{take[:2]}pct_{take[3:]}": f"{start}{take[:2]}pct_{take[3:]}.wav"
    for start, takes in _MOTORS.items()
    for take in takes.split()
}


def _lj(stem: str) -> str:
    commit = (
        "5dcc16d1931538e5bce7cb20c1986df371ee8cd6"
        if int(stem[-2:]) in _LJ_OTHERS
        else "775a81838c9cbb8f09dfb29899782d7ce24ae4de"
    )
    return f"{commit}/tests/data/ljspeech/wavs/{stem}.flac"


def _vctk(speaker: str, stem: str) -> str | None:
    if speaker in ("p225", "p226", "p227", "p228") and stem != "p225_001":
        return f"auspicious3000/autovc/0068546a305ae64c377d38bb74aad7c0ee1f33c0/wavs/{speaker}/{stem}.wav"
    if stem.endswith("_023"):
        return f"yl4579/StarGANv2-VC/79e106a6215cad5a442838b8ddaa901d378b921e/Demo/VCTK-corpus/{speaker}/{stem}.wav"
    return None


def _sorbian(speaker: str, stem: str) -> str:
    top = "step3_model_training_kaldi/inputs/sig"
    if speaker.startswith("ADP"):
        return f"8e39800ba6e4175bfe7eab8c38b0af7504a68622/{top}/ADP/RECS/{speaker[3:]}/{stem}.wav"
    return f"5c160a33802e70960e4b817493510877d184d78f/{top}/CV/{speaker}/{stem}.wav"


def _wake(stem: str) -> str:
    word, _, take = stem.rpartition("_")
    if word == "alexa":
        return f"fb755608b5a407f87aa9119f274fd03f0d766dd2/audio/alexa/{take}.flac"
    return f"d6ba20211c1fae1b44d824c8a22250707fcee17a/audio/{word.replace('_', ' ')}/{take}.wav"


SPEECH: dict[str, Callable[[str, str], str | None]] = {
    "speechocean762": lambda speaker, stem: f"speechocean762/WAVE/SPEAKER{speaker}/{stem}.WAV",
    "cmu_arctic": lambda speaker, stem: f"cmu_us_{speaker}_arctic/wav/{stem}.wav",
    "librispeech": lambda _, stem: (
        f"dc22ae70b93eccfa572e934f47335e32754ff865/audio_data/librispeech_train-clean-100/{stem}.flac"
    ),
    "picovoice_s2i": lambda _, stem: f"0a2397b26b4767ba6a655c4e351f73a264e62034/data/speech/clean/{stem}.wav",
    "picovoice_wake": lambda _, stem: _wake(stem),
    "dbspeech": lambda _, stem: f"03e986c7d118914d6fc810a82002d08e653c15e8/DBSpeech-1.0/wavs/{stem}.wav",
    "sorbian_asr": _sorbian,
    "vctk": _vctk,
    "ljspeech": lambda _, stem: _lj(stem),
    "emodb": lambda _, stem: f"916a08e79c1bf782b7cd345652f6af2a6ad5ab6e/wav/{stem}.wav",
}
"""Corpus of the manifests -> its path in the archive or below the address, from speaker and file name."""

_BLANKET = "rafaelmardojai/blanket/{}/data/resources/sounds/{}.ogg"
_ALARM = "jtgsystems/modern-alarm-clock/5bb0f759985ec799297029186f1646e585063a3f/public/sfx/{}.mp3"
_MAX = "IBM/MAX-Audio-Classifier/{}.wav"
_AMBIENT = "hsbakshi/ambient-engine/{}.mp3"
_NOIXER = "abetusk/noixer/{}.mp3"
_OLD, _NEW = "eb22ac56a27aefd9615730518902e8829c47b87f/assets", "e4f8b59ea1ccf222842af354d192b31c97cecf06/assets"
_ASSETS = "12db61de57290f6d97d9fe9bd9be6099dc9c3eac/assets"
_SAMPLES = ("a6c6bb50bd464a394cb057e609ff97ad8ecdb4c9/samples", "dbd1a027f6cab10da36d852685c31c2aa267ae51/samples")
NOISE = {
    "freesound:156826": (_BLANKET.format("bec1fe3ef9f1a40bdebba21fe774186b44637e55", "birds"), "kvgarlic"),
    "freesound:439365": (_BLANKET.format("bec1fe3ef9f1a40bdebba21fe774186b44637e55", "boat"), "Falcet"),
    "freesound:44796": (_BLANKET.format("f325d0d9d60e8ed423f11bbd568eb6391c2210c7", "city"), "gezortenplotz"),
    "soundbible:1664": (
        "rafaelmardojai/blanket/73b17ec8b44ec54120a3532cccbb5794c47208bc/src/resources/sounds/coffee-shop.ogg", "stephan"
    ),
    "soundbible:1543": (_BLANKET.format("37e4e420e29df89ea1a51a45ef45e87e460acd50", "fireplace"), "ezwa"),
    "freesound:524605": (_BLANKET.format("efbb10e403dd92ae9cb0ec382bd608ccff7c2597", "rain"), "alex36917"),
    "freesound:41739": (_BLANKET.format("492d38f9395f9f3e9eb39cfef65dfa676b75646f", "storm"), "Digifish music"),
    "soundbible:2083": (_BLANKET.format("f6606f952afedc7968524c30f263d1c11eaa64d0", "summer-night"), "Lisa Redfern"),
    "freesound:259988": (_BLANKET.format("391379d1e496da3674b82f11b966f74c140209b3", "train"), "SDLx"),
    "freesound:48412": (_BLANKET.format("bec1fe3ef9f1a40bdebba21fe774186b44637e55", "waves"), "Luftrum"),
    "freesound:217506": (_BLANKET.format("e55145301149818e014215011b1f4da233ddaecb", "wind"), "felix.blume"),
    "freesound:132534": ("Muges/ambientsounds/61970ca2a5d71e6b3392b80b626f1112e03a1893/fireplace.ogg", "inchadney"),
    "freesound:136971": ("Muges/ambientsounds/201df77fbb7b40a6c328e24eabb34c00076a28e8/heavy-rain.ogg", "D W"),
    "freesound:139337": ("Muges/ambientsounds/fec164540a01d35ed982e09d172e628413910d2a/wind.ogg", "felix.blume"),
    "berlin_noise:0619B0AD": (
        "thomasrosen/berlin_noise/1e390108dbf5c1b1d487f3c5718cc360b8cd8ae6/audio/0619B0AD-7F6A-4CAB-BCCB-ABE0D71F43A9.m4a",
        "Thomas Rosen",
    ),
    "berlin_noise:1CDCDA78": (
        "thomasrosen/berlin_noise/364b552aa2c9fda65893f4f2ca1f33bf405e7c39/audio/1CDCDA78-CA1D-449C-8294-E7C748BCAE99.m4a",
        "Thomas Rosen",
    ),
    "berlin_noise:35EF0BF2": (
        "thomasrosen/berlin_noise/0f10388d65ba2be9c018f13c3178f5d16ef81943/audio/35EF0BF2-F402-4DBA-88E3-D107C060E2F4.wav",
        "Thomas Rosen",
    ),
    "berlin_noise:5B6DDD39": (
        "thomasrosen/berlin_noise/0f10388d65ba2be9c018f13c3178f5d16ef81943/audio/5B6DDD39-911B-4EDB-A227-46887E497740.wav",
        "Thomas Rosen",
    ),
    "freesound:119028": (_MAX.format(f"{_ASSETS}/applause"), "joedeshon"),
    "freesound:251461": (_MAX.format(f"{_ASSETS}/arcade_music"), "joshuaempyre"),
    "freesound:339326": (_MAX.format(f"{_ASSETS}/birds1"), "InspectorJ"),
    "freesound:428676": (_MAX.format(f"{_ASSETS}/cinematic"), "Hoerspielwerkstatt_HEF"),
    "freesound:52234": (_MAX.format(f"{_ASSETS}/snoring"), "mookie182"),
    "freesound:49658": (_MAX.format(f"{_SAMPLES[0]}/jazz_guitar"), "Sub-d"),
    "freesound:401275": (_MAX.format(f"{_SAMPLES[0]}/rain"), "InspectorJ"),
    "freesound:186942": (_MAX.format(f"{_SAMPLES[1]}/piano"), "Lemoncreme"),
    "freesound:360328": (_MAX.format(f"{_SAMPLES[1]}/thunder"), "InspectorJ"),
    "freesound:473701": (_ALARM.format("city"), "Joao_Janz"),
    "freesound:387127": (_ALARM.format("fireplace"), "NoOneIsReal"),
    "freesound:564436": (_ALARM.format("forest"), "Fester993"),
    "freesound:320520": (_ALARM.format("rain"), "Opticreep"),
    "freesound:243777": (_ALARM.format("thunder"), "bastipictures"),
    "freesound:550915": (_ALARM.format("waves"), "Profispiesser"),
    "freesound:185070": (_ALARM.format("wind"), "juryduty"),
    "freesound:719482": (
        _AMBIENT.format("efc0f4587a6ba802f5f42ea961757d8db2865a2c/packages/web/public/assets/bikes"), "Rudmer Rotteveel"
    ),
    "ambient_engine:footsteps": (
        _AMBIENT.format("baa06aee8d3828491d115732a0d6b1a5e5990a1f/packages/web/public/assets/footsteps"), "Red Library"
    ),
    "ambient_engine:hum": (
        _AMBIENT.format("baa06aee8d3828491d115732a0d6b1a5e5990a1f/packages/web/public/assets/hum"), "SSE Library"
    ),
    "ambient_engine:water": (
        _AMBIENT.format("baa06aee8d3828491d115732a0d6b1a5e5990a1f/packages/web/public/assets/water"), "SSE Library"
    ),
    "ambient_engine:wind1": (
        _AMBIENT.format("efc0f4587a6ba802f5f42ea961757d8db2865a2c/packages/web/build/assets/wind1"), "SSE Library"
    ),
    "freesound:252645": (_NOIXER.format(f"{_NEW}/252645__yetcop__cat-purr-gato-ronroneando"), "yetcop"),
    "freesound:394290": (_NOIXER.format(f"{_NEW}/394290__epicwizard__bar-crowd-in-belgrade"), "epicwizard"),
    "freesound:433783": (_NOIXER.format(f"{_NEW}/433783__cagancelik__campfire"), "cagancelik"),
    "freesound:197804": (
        _NOIXER.format(f"{_NEW}/197804__7778__indoor-fish-tank-without-bubble-strips-ambiance"), "7778"
    ),
    "freesound:517042": (_NOIXER.format(f"{_NEW}/517042__sonidosreales245__forestday-bw-66"), "sonidosreales245"),
    "freesound:324404": (_NOIXER.format(f"{_OLD}/324404__joedeshon__film-static-03"), "joedeshon"),
    "freesound:133099": (_NOIXER.format(f"{_OLD}/133099__allh__steam-train-interior_e"), "allh"),
    "freesound:234458": (_NOIXER.format(f"{_NEW}/234458__theonlycanvas__dryer"), "theonlycanvas"),
    "freesound:155940": (
        _NOIXER.format(f"{_NEW}/155940__ali-k__small-waterfall-pentalofos-salonika-21-33-30-04"), "ali@k"
    ),
    "freesound:450755": (_NOIXER.format(f"{_NEW}/450755__florianreichelt__waves-of-hawaii"), "florianreichelt"),
    "freesound:525052": (_NOIXER.format(f"{_NEW}/525052__smand__wind-chime-small"), "smand"),
    "speech_commands:exercise_bike": (
        "chaeyoung-lee/wids_tutorial/08ca06b06c984fb6172898e1f1bec6fd00df10bc/data/_background_noise_/exercise_bike.wav",
        "Pete Warden, Google",
    ),
    "speech_commands:running_tap": (
        "chaeyoung-lee/wids_tutorial/08ca06b06c984fb6172898e1f1bec6fd00df10bc/data/_background_noise_/running_tap.wav",
        "Pete Warden, Google",
    ),
    "librosa_data:nutcracker": (
        "librosa/data/5cd73a334b1ad53cda65284bebfc87be7524def6/audio/"
        "Kevin_MacLeod_-_P_I_Tchaikovsky_Dance_of_the_Sugar_Plum_Fairy.hq.ogg", "Kevin MacLeod"
    ),
    "librosa_data:humpback": (
        "librosa/data/4d0012251832097ccfe21b40b791c2b74bdbfa14/audio/glacier-bay-humpback.hq.ogg", "NPS, Chris Gabriele"
    ),
    "musopen:43805": (
        "librosa/data/d90d4bcdc1480093bcfe74bc94a151768d556dc4/audio/"
        "Hungarian_Dance_number_5_-_Allegro_in_F_sharp_minor_(string_orchestra).hq.ogg", "US Army Strings"
    ),
    "freesound:98024": ("DrunkenToast/gui-project/4b783b6a73930dc051a03f7a7101261cd4d06615/sounds/construction.ogg", "Tomlija"),
    "freesound:78955": ("DrunkenToast/gui-project/4b783b6a73930dc051a03f7a7101261cd4d06615/sounds/leaves.ogg", "juskiddink"),
}  # fmt: skip
"""A source recording of the manifests -> its path below raw.githubusercontent.com, and whom to name."""


def _place(kind: Kind, row: dict[str, str], speaker: str) -> tuple[str, str, str] | None:
    """Corpus of the catalog, path and author of a manifest's row; None where no address is known."""
    corpus, stem = row["corpus"], Path(row["path"]).stem
    if kind == "speech":
        path = SPEECH[corpus](speaker, stem) if corpus in SPEECH else None
        return (f"open-{corpus.replace('_', '-')}", path, "") if path else None
    if corpus in ("esc10", "esc50_nc"):
        return "open-esc", f"ESC-50-master/audio/{stem}.wav", ""
    if corpus == "bldc_motor":
        path = _MOTOR_PATHS.get(stem)
        return ("open-noises", f"grigoriev-vladimir/drone-audio-dataset/{path}", "Grigoriev Vladimir") if path else None
    if row["source"] in NOISE:
        return ("open-noises", *NOISE[row["source"]])
    return None


def selection(data: Path) -> tuple[list[tuple[str, Listed]], dict[str, tuple[float, float]]]:
    """The files of DATA's manifests that have an address, each once, and per kind and split the minutes that may ship and
    those of them that are listed."""
    chosen: dict[tuple[str, str], Listed] = {}
    minutes: dict[str, tuple[float, float]] = {}
    for kind in ("speech", "noise"):
        for split in SPLITS:
            shipped = listed = 0.0
            for _, row in rows_of(data / "manifests" / f"{kind}_{split}.csv", ("path", "seconds", "corpus", "ship")):
                if row["ship"] != "yes":
                    continue
                shipped += float(row["seconds"]) / 60
                speaker = row.get("speaker", "").removeprefix(f"{row['corpus']}_")
                place = _place(kind, row, speaker)
                if place is None:
                    continue
                listed += float(row["seconds"]) / 60
                corpus, path, author = place
                # The corpus states ESC-50's: the manifests have the collection's, which is narrower than its clips'.
                license = row["license"] if corpus == "open-noises" else ""
                each = Listed(path, kind, split, speaker, row.get("class", ""), row.get("source", ""), license, author)
                known = chosen.setdefault((corpus, path), each)
                if replace(known, license="") != replace(each, license=""):
                    raise ValueError(f"{path} is two things: {known}, {each}")
            minutes[f"{kind} {split}"] = shipped, listed
    return [(corpus, each) for (corpus, _), each in chosen.items()], minutes


def as_csv(chosen: list[tuple[str, Listed]]) -> str:
    """The list: a row for all files of a folder that have the rest in common."""
    rows: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for corpus, each in chosen:
        folder, _, file = each.path.rpartition("/")
        said = (each.kind, each.split, each.speaker, each.label, each.source, each.license, each.attribution)
        key = (corpus, *said, folder)
        rows[key].append(file)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LIST_COLUMNS)
    writer.writerows((*row, "|".join(sorted(files))) for row, files in sorted(rows.items()))
    return text.getvalue()


def main(data: Annotated[Path, typer.Argument(help="The folder with manifests/.")]) -> None:
    """Write open.csv, and say how much of what the released models heard is in it."""
    chosen, minutes = selection(data)
    write_text(TARGET, as_csv(chosen))
    for name, (shipped, listed) in minutes.items():
        print(f"{name}: {listed:.1f} of {shipped:.1f} min")


if __name__ == "__main__":
    typer.run(main)
