"""`tinyse data get games`: noise out of Debian's games, each sound under an open license that its copyright file gives it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import PurePosixPath

import pytest
import yaml

from tinyse.catalog import make_games, read_catalog
from tinyse.catalog.entries import Corpus
from tinyse.config import build

pytest.importorskip("debian", reason="needs python-debian")

COPYRIGHT = b"""Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2010, The Team
License: GPL-3+

Files: data/*
Copyright: The Team <team@example.org>
License: CC-BY-SA-3.0+

Files: data/horn.ogg
Copyright: 2009, Ann (http://ann.example.org)
           Bob
License: GPL-2 or CC-BY-3.0

Files: data/engine*
Copyright: Carl
License: GPL-2+

Files: data/drum.ogg
Copyright: Dora
License: CC-BY-NC-3.0

Files: data/bell.ogg
Copyright: no-copyright
License: CC0-1.0
"""


@pytest.fixture
def corpus() -> Corpus:
    archive = {"debian": "some=1", "url": "https://example.org/some.deb"}
    given = {"title": "x", "attribution": "The Team", "license": "CC BY-SA 3.0", "homepage": "https://example.org"}
    return build(Corpus, {**given, "archives": [archive], "list": "games.csv"}, "some")


def selection(**more: object) -> make_games.Selection:
    takes = [{"skip": r"voice/.*|.*_speech\.ogg"}, {"alarms": r"(horn|bell)\.ogg"}, {"machines": r".*\.ogg"}]
    return build(make_games.Selection, {"root": "usr/share/some", "source": "data", "takes": takes} | more, "some")


def files(**contents: str) -> list[tuple[PurePosixPath, bytes | None]]:
    sounds = [(PurePosixPath("usr/share/some") / name, content.encode()) for name, content in contents.items()]
    return [*sounds, (PurePosixPath("usr/share/doc/some/copyright"), COPYRIGHT)]


def taken(corpus: Corpus, **contents: str) -> dict[str, tuple[str, str, str]]:
    found = make_games.selected(corpus, selection(), files(**contents))
    assert {(each.kind, each.split) for each in found} <= {("noise", "train")}
    return {each.path.rpartition("/")[2]: (each.label, each.license, each.attribution) for each in found}


def test_a_sound_is_taken_under_the_open_license_of_the_paragraph_that_names_it_last(corpus):
    names = ("saw.ogg", "horn.ogg", "engine_1.ogg", "drum.ogg", "bell.ogg")
    assert taken(corpus, **{name: name for name in names}) == {
        "saw.ogg": ("machines", "", ""),  # the corpus's license and authors
        "horn.ogg": ("alarms", "CC BY 3.0", "2009, Ann; Bob"),
        "bell.ogg": ("alarms", "CC0 1.0", ""),
    }


def test_voices_are_left_out_and_a_sound_that_is_there_twice_is_taken_once(corpus):
    assert list(taken(corpus, **{"voice/a.ogg": "a", "b_speech.ogg": "b", "saw.ogg": "c", "saw2.ogg": "c"})) == [
        "saw.ogg"
    ]


def test_a_copyright_file_for_people_is_followed_by_hand(corpus):
    by_hand = selection(license="CC BY-SA 3.0")
    (each,) = make_games.selected(corpus, by_hand, files(**{"engine_1.ogg": "x"}))
    assert (each.path, each.label, each.license) == ("usr/share/some/engine_1.ogg", "machines", "")


@pytest.mark.parametrize(
    ("synopsis", "license"),
    [
        ("CC-BY-SA-3.0", "CC BY-SA 3.0"),
        ("CC-BY-4.0", "CC BY 4.0"),
        ("CC-BY-SA-3.0 or GPL-3 or GPL-2", "CC BY-SA 3.0"),
        ("GPL-2+ OR CC-BY-SA", "CC BY-SA"),
        ("public-domain", "public domain"),
        ("CC0", "CC0"),
        ("GPL-2+", None),
        ("CC-BY-NC-3.0", None),
        ("CC-BY-ND-3.0", None),
        ("CC-BY-NC-SA-3.0", None),
        ("CC-sampling-plus-1.0", None),
        ("CC0-1.0 and GPL-2", None),
        ("free-art", None),
    ],
)
def test_only_open_licenses_count(synopsis, license):
    assert make_games.open_license(synopsis) == license


def test_the_list_is_what_the_selection_says():
    """No sound in it that games.yaml does not take under that label, none that may not ship or could be a voice."""
    known = read_catalog()
    given = yaml.safe_load((make_games.HERE / "games.yaml").read_text(encoding="utf-8"))
    assert list(known.sets["games"]) == list(given)
    for name in known.sets["games"]:
        corpus, chosen = known.corpora[name], build(make_games.Selection, given[name], name)
        assert corpus.ship and corpus.verified and corpus.archives[0].hash
        for each in corpus.listed:
            assert each.label == chosen.label(str(PurePosixPath(each.path).relative_to(chosen.root))), each.path
            license = each.license or corpus.license
            assert not re.search("NC|ND|GPL", license) and re.search("CC|MIT|Expat|public domain", license), each.path
            assert not license.startswith("CC BY") or not each.license or each.attribution, each.path
            assert each.kind == "noise" and each.split == "train"
            assert not re.search("(?i)voice|speech|announce|npcs|narrat", each.path), each.path


def test_the_list_needs_no_python_debian():
    """It is for maintainers; who fetches games has none."""
    code = "import sys; sys.modules['debian'] = None; from tinyse.catalog import read_catalog; read_catalog().chosen(['games'])"
    subprocess.run([sys.executable, "-c", code], check=True)
