"""Make the reference results of this repository: outputs/reference/, and docs/results.md from them.

python scripts/reference.py                        all: hours, on a quiet machine
python scripts/reference.py job_titles seed=0,1    of one data set, or some of its runs: by recipe=, protocol=, seed=
python scripts/reference.py --no-runs              only keeps what outputs/ has of them, and writes the page

Each data set is a sweep of `train.py -m`: cut off, it goes on with what is missing. A noisy run is done once more.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness.base import bootstrap
from harness.base.errors import guarded

if TYPE_CHECKING:
    from harness.results.reading import Result

LIBRARIES, SEEDS = "glob(*,exclude=[crf,tfidf,torch,torchvision])", "0,1,2,3,4"  # torch does the steps of hf_trainer
DATA = {  # what somebody has who labels texts for some days; two cores take hours for all libraries and seeds
    "job_titles": ["data.train_size=1000"],
    "skillspan": ["data.train_size=1000", "train.epochs=2"],
    "onet": ["train.epochs=2"],  # all 712 texts
}
BARE = {"tfidf": [*DATA], "torchvision": ["job_titles"]}  # no encoder, and so one protocol; of which data
OWN = {"torchvision": ["train.epochs=60"]}  # from scratch: four epochs show it little
SHARED = ["precision=fp32", "measure.batch_sizes=[1,32]"]
FREE = {"recipe", "seed", "protocol", "data.path", "rerun"}  # keys that the runs of a data set differ by
PAGE, PICTURES = ROOT / "docs" / "results.md", ROOT / "docs" / "results"
SHOWN = ("training-time", "latency", "learning")  # of the pictures
BEGIN, END = "<!-- tables: written by scripts/reference.py -->", "<!-- /tables -->"


def main(arguments: argparse.Namespace) -> int:
    from harness.results import reading, small

    names = [word for word in arguments.words if "=" not in word] or list(DATA)
    for name in [] if arguments.no_runs else names:
        for words in sweeps(name, [word for word in arguments.words if "=" in word]):
            train("-m", *words)
        for one in list(made(name)):
            if not one.timed:
                train(*(f"{key}={value}" for key, value in (one.words | {"rerun": "true"}).items()))
    kept = [small.keep(one, reading.REFERENCE) for name in names for one in made(name)]
    replace(kept, reading.REFERENCE)
    print(f"kept {len(kept)} runs in {reading.REFERENCE.relative_to(ROOT)}")
    write_page()
    return 0


def sweeps(name: str, words: list[str]) -> list[list[str]]:
    """Return the words of the sweeps of a data set; where words name recipes, of those alone."""
    shared = [f"seed={SEEDS}", f"data={name}", *DATA[name], *SHARED]
    named = [one for word in words if word.startswith("recipe=") for one in word.partition("=")[2].split(",")]
    others = [word for word in words if not word.startswith("recipe=")]
    bare = [recipe for recipe in BARE if name in BARE[recipe] and recipe in (named or BARE)]
    deep = ",".join(recipe for recipe in named if recipe not in BARE) if named else LIBRARIES
    found = [[*shared, f"recipe={recipe}", *OWN.get(recipe, []), *others] for recipe in bare]
    return [*found, *([[*shared, "protocol=native,controlled", f"recipe={deep}", *others]] if deep else [])]


def train(*words: str) -> None:
    """Run train.py; what fails there is told there, and stops nothing here."""
    subprocess.run([os.environ["FINETUNE_RECIPES_PYTHON"], str(ROOT / "train.py"), *words], cwd=ROOT, check=False)


def made(name: str) -> Iterator["Result"]:
    """Yield the finished runs in outputs/ that the words above make, and no others of the same data.

    Where the code or a version was another for some of them, those of the newest are yielded.
    """
    from harness.results import reading
    from harness.results.contestants import contestants

    wanted = dict(word.split("=", 1) for word in (f"data={name}", *DATA[name], *SHARED))
    groups: dict[reading.Group, list[Result]] = {}
    for one in reading.read(ROOT / "outputs"):
        own = dict(word.split("=", 1) for word in OWN.get(one.row["recipe"], []))
        if one.finished and {key: value for key, value in one.words.items() if key not in FREE} == wanted | own:
            groups.setdefault(one.group, []).append(one)
    for members in groups.values():
        for runs in contestants(members)[0].values():
            yield from runs


def replace(kept: list[Path], reference: Path) -> None:
    """Remove from the reference results those whose place others take, now `kept`: of the same group, name and seed."""
    from harness.results import reading

    new = {(one.group, one.name, one.row["seed"]): one.folder for one in reading.read(*kept)}
    for one in reading.read(reference):
        if new.get((one.group, one.name, one.row["seed"]), one.folder) != one.folder:
            shutil.rmtree(one.folder)


def write_page() -> None:
    """Write the tables and pictures of outputs/reference/ into docs/results.md; what is said of them stands above."""
    from harness.results import reading
    from harness.results.compare import analysis, pictures, render, sections

    found = reading.read(reading.REFERENCE)
    analyses = analysis.analyse(found, pairs=True)
    made = [sections.section(one, len(SEEDS.split(","))) for one in analyses]
    PICTURES.mkdir(parents=True, exist_ok=True)
    for old in PICTURES.glob("*.svg"):
        old.unlink()
    for one, section in zip(analyses, made, strict=True):
        for picture in pictures.drawn(one):
            if picture.name in SHOWN:
                path = PICTURES / f"{one.group.data}-{one.group.protocol}-{picture.name}.svg"
                path.write_bytes(picture.svg)
                section.files.append((path.relative_to(PAGE.parent).as_posix(), picture.caption))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    tables = "\n".join(map(render.markdown_section, made))
    PAGE.write_text(f"{before}{BEGIN}\n{tables}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="DATA|KEY=VALUE", help=f"of {', '.join(DATA)}; words for train.py")
    parser.add_argument("--no-runs", action="store_true", help="run nothing: keep what outputs/ has, write the page")
    given = parser.parse_intermixed_args()
    for word in given.words:
        if "=" not in word and word not in DATA:
            parser.error(f"{word}: there are reference results of {', '.join(DATA)}.")
        if "=" in word and word.partition("=")[0] not in FREE:  # another run, which would not be kept
            parser.error(f"{word}: the reference results are what they are but for {', '.join(sorted(FREE))}.")
    return given


if __name__ == "__main__":
    bootstrap.enter(lambda: "core_matplotlib" if parsed() else "core")  # a wrong word is told before that is built
    sys.exit(guarded(lambda: main(parsed())))
