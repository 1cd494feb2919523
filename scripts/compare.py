"""Compare results: what each recipe reaches and takes, and which differences seeds and rows allow one to see.

python scripts/compare.py                                      all results, each with what it may be compared with
python scripts/compare.py data=job_titles recipe=hf_trainer,flair   by any key of result.json
python scripts/compare.py experiment=emscad                    one experiment, beside what was published
python scripts/compare.py --out report.html --out table.tex    also written: .md .tex .csv .html
python scripts/compare.py --aa                                 how often a recipe is called different from itself
python scripts/compare.py --against FOLDER                     what got slower or worse since those results
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness.base import bootstrap
from harness.base.errors import UserError, guarded, writing

if TYPE_CHECKING:
    from harness.results.compare.analysis import Analysis
    from harness.results.compare.sections import Section
    from harness.results.reading import Result

PAIRED_AT_MOST = 250  # runs whose predictions are read unasked
WRITTEN = (".md", ".tex", ".csv", ".html")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    about = "which results, by the keys of result.json; of a digest its beginning"
    add("words", nargs="*", metavar="KEY=VALUE[,VALUE]", help=about)
    add(
        "--outputs", type=Path, action="append", metavar="FOLDER", help="results (default outputs or outputs/reference)"
    )
    add("--out", type=Path, action="append", default=[], metavar="FILE", help="write: " + " ".join(WRITTEN))
    add("--pictures", type=Path, metavar="FOLDER", help="write the pictures, as PNG and SVG")
    add("--runs", type=int, default=5, help="runs that each must have; fewer is marked (default 5)")
    add("--pairs", action="store_true", help=f"compare in pairs though there are more than {PAIRED_AT_MOST} runs")
    add(
        "--aa",
        action="store_true",
        help="compare each recipe with itself, 200 times; exit code 1 where it is told apart",
    )
    add("--against", metavar="REV|FOLDER", help="earlier results: a folder, or outputs/reference at a git revision")
    return parser.parse_intermixed_args()


def main(arguments: argparse.Namespace) -> int:
    from harness.results import reading
    from harness.results.compare import against, analysis, render, same, sections

    found, opening = chosen(arguments)
    check = same.Check()
    paired = arguments.pairs or len(found) <= PAIRED_AT_MOST
    beside = any(word.startswith("identity_digest=") for word in arguments.words)
    analyses = analysis.analyse(found, paired and not arguments.aa and not arguments.against, beside)
    if arguments.aa:
        made = [check.of(one) for one in analyses]
        opening.append(str(check))
    elif arguments.against:
        made = against.compared(analyses, analysis.analyse(against.earlier(arguments.against), pairs=False))
    else:
        needed = analyses if arguments.out or arguments.pictures else analyses[: render.SHOWN]
        made = [sections.section(one, arguments.runs) for one in needed]
        if not paired:
            opening.append("So many are not compared in pairs: choose some with KEY=VALUE, or give --pairs.")
    if len(analyses) > render.SHOWN:
        shown = f"{len(analyses)} groups, of which the first {render.SHOWN} are shown here"
        opening.append(f"{shown}: choose some with KEY=VALUE, such as {reading.parting(found)}.")
    render.terminal(made, opening)
    if pictured(arguments) and not (arguments.aa or arguments.against):
        draw(arguments, analyses, made)
    if any(path.suffix == ".html" for path in arguments.out) and not (arguments.aa or arguments.against):
        from harness.results.compare import mistakes

        for analysis_of, section in zip(analyses, made, strict=True):
            section.folded = list(mistakes.tables(analysis_of))
    for path in arguments.out:
        text = render.comma_separated(analyses) if path.suffix == ".csv" else render.TEXT[path.suffix](made, opening)
        with writing("--out", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 0 if check.held else 1


def pictured(arguments: argparse.Namespace) -> bool:
    """Tell whether pictures are wanted, for which there is an environment of its own."""
    return bool(arguments.pictures) or any(path.suffix == ".html" for path in arguments.out)


def draw(arguments: argparse.Namespace, analyses: list["Analysis"], made: list["Section"]) -> None:
    """Draw the pictures of each group into its section, and write them where they are wanted."""
    from harness.results.compare import pictures

    for number, (analysis, section) in enumerate(zip(analyses, made, strict=True), 1):
        section.pictures = list(pictures.drawn(analysis))
        if folder := arguments.pictures:
            with writing("--pictures", folder):
                folder.mkdir(parents=True, exist_ok=True)
                for one in section.pictures:
                    name = f"{number}-{analysis.group.data}-{analysis.group.protocol}-{one.name}"
                    (folder / f"{name}.svg").write_bytes(one.svg)
                    (folder / f"{name}.png").write_bytes(one.png)


def chosen(arguments: argparse.Namespace) -> tuple[list["Result"], list[str]]:
    """Return the results that are meant, and where they are, in words."""
    from harness.results import reading
    from harness.results.compare import published

    for path in arguments.out:
        if path.suffix not in WRITTEN:
            raise UserError(f"--out {path}: its ending says what is written: {', '.join(WRITTEN)}.", code=2)
    places = arguments.outputs or reading.default_places()
    everything = reading.read(*places)
    if not arguments.outputs and published.missing(arguments.words, everything) and reading.REFERENCE.is_dir():
        places = list(dict.fromkeys([*places, reading.REFERENCE]))
        everything = reading.read(*places)
    where = ", ".join(map(str, places))
    if not everything:
        raise UserError(f"there are no results in {where}; `python train.py` makes one.")
    published.check(arguments.words, everything, where)
    try:
        found = reading.filtered(everything, arguments.words)
    except UserError as error:
        shown = reading.REFERENCE in [place.resolve() for place in places]
        beside = "" if shown else "\nThe reference results: --outputs outputs/reference"
        raise UserError(f"in {where}: {error}{beside}", error.code) from None
    if not found:
        raise UserError(f"no result in {where} is {' and '.join(arguments.words)} at once.", code=2)
    return found, [f"{len(found):,} results in {where}", *published.lines(arguments.words)]


if __name__ == "__main__":
    bootstrap.enter(lambda: "core_matplotlib" if pictured(parsed()) else "core")
    sys.exit(guarded(lambda: main(parsed())))
