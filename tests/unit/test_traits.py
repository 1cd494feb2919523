"""What the recipes declare of their libraries: whole, with source and date, and no part of what a run is."""

import datetime
import re

import pytest
from hydra import compose, initialize_config_dir
from support import RECIPES, ROOT, VARIANTS

from harness.config import CONF, checked
from harness.results.traits import OWN, WATCH, docstring, libraries

LIBRARIES = {library.name: library for library in libraries()}
EXPECTED = {"licence", "releases", "own", "watch", "tasks", "languages", "from_scratch", "papers", "serving"}


def test_there_are_all_recipes_and_their_variants():
    assert {library.recipe for library in LIBRARIES.values()} == set(RECIPES)
    assert set(VARIANTS) <= {" ".join(library.words) for library in LIBRARIES.values()}


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_a_trait_has_a_source_and_a_date(library):
    assert set(library.traits) == EXPECTED
    for name, trait in library.traits.items():
        assert datetime.date(2026, 1, 1) <= datetime.date.fromisoformat(trait.date), name
        assert len(trait.source) > 5, name
        assert "://" not in trait.source, name
        for path in re.findall(r"recipes/[\w/]+\.py", trait.source):
            assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_traits_are_what_they_may_be(library):
    values = {name: trait.value for name, trait in library.traits.items()}
    assert values["own"] in OWN
    assert library.traits["own"].source == f"recipes/{library.recipe}/recipe.py"
    assert all(docstring(library.recipe))
    assert set(values["watch"]) <= set(WATCH)
    assert isinstance(values["from_scratch"], bool)
    for release in values["releases"].values():
        dates = [str(release[key]) for key in ("first", "last") if key in release]
        assert dates == sorted(dates)
        assert datetime.date.fromisoformat(dates[-1]) <= datetime.date.fromisoformat(library.traits["releases"].date)


@pytest.mark.parametrize("words", [["recipe=tfidf"], *(words.split() for words in VARIANTS)], ids=" ".join)
def test_a_trait_is_no_part_of_what_a_run_is_and_the_places_are_those_of_hydra(words):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        recipe = checked(compose("config", words)).recipe
    assert "traits" not in recipe.values
    (library,) = [library for library in LIBRARIES.values() if list(library.words) == words]
    assert tuple(library.places) == recipe.places
