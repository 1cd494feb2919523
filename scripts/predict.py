"""Predict with a finished run: python scripts/predict.py RUN "night nurse", or RUN --file postings.csv.

A run of a recipe that takes pictures: RUN scan.png …, or --file with a column of their paths.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.base import bootstrap
from harness.base.errors import UserError, guarded, writing

if TYPE_CHECKING:
    from harness.use.saved import Saved


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="A file (csv, tsv, JSON lines, parquet, a workbook; packed or not) is written again, with columns label "
        "and probability (where a text has several: labels, a list in JSON, else parted as in the run's data; where "
        "it is spans: spans, a list of objects in JSON, else the same as text; where it is a number: number), as "
        "UTF-8, in the format that the ending of --out names (a workbook: csv). Cut off, the same command goes on "
        "where it was.",
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, or its name in the folder of results")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts to predict")
    parser.add_argument("--file", type=Path, help="a file whose rows are predicted")
    parser.add_argument(
        "--out",
        type=Path,
        help="where the rows are written: .csv, .tsv, .jsonl, .parquet (default: beside, as the file is)",
    )
    parser.add_argument("--text", action="append", metavar="COLUMN", help="the column of the text (default: the run's)")
    parser.add_argument("--encoding", help="of the file, where it is told wrongly")
    parser.add_argument("--sheet", metavar="NAME", help="of a workbook (default: the run's, else the first)")
    parser.add_argument("--all", action="store_true", help="the probability of every class")
    parser.add_argument(
        "--threshold",
        metavar="P",
        help="of several labels a text, answer those likelier than P, a probability, or `chosen`: the run's own, which "
        "was best on valid (default: 0.5)",
    )
    parser.add_argument("--prefix", default="", help="put before the names of the new columns")
    parser.add_argument("--env", metavar="PYTHON", help="the interpreter of a run that was made with env=PYTHON")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="the folder of results (default outputs)")
    arguments = parser.parse_intermixed_args()  # texts may follow options
    if bool(arguments.texts) == bool(arguments.file):
        raise UserError("give texts, or --file FILE.", code=2)
    from harness.use import predict_file, saved

    run = saved.find(arguments.run, arguments.outputs.expanduser().absolute())
    run = saved.runnable(run, arguments.env)
    if arguments.all and run.task.name in ("tagging", "regression"):
        raise UserError(f"--all: a run of task={run.task.name} has no probability for each of its names.", code=2)
    threshold = saved.threshold(run, arguments.threshold)
    if arguments.texts:
        show(run, arguments.texts, arguments.all, threshold)
        return 0
    path = arguments.file.expanduser()
    out = predict_file.place_for(path, arguments.out and arguments.out.expanduser())
    table = predict_file.table_for(run, path, arguments.text, arguments.encoding, arguments.sheet)
    predict_file.predict_file(run, table, out, arguments.all, arguments.prefix, threshold)
    return 0


def show(run: "Saved", texts: list[str], every: bool, threshold: float) -> None:
    """Print each text with what is answered to it: its likeliest class, its labels, its spans, its number."""
    from harness.inputs.data import cells
    from harness.inputs.data.kinds import images
    from harness.use.answers import answers_of
    from harness.use.predict import CHUNK, predictor

    if nothing := [number for number, text in enumerate(texts, 1) if cells.empty(text)]:
        raise UserError(f"text {nothing[0]} is empty.", code=2)
    if run.of_pictures and (others := [text for text in texts if not images.is_picture(Path(text).expanduser())]):
        path, wanted = Path(others[0]).expanduser(), f"a picture ({images.formats()}), which this run was trained on"
        if path.is_dir():
            raise UserError(f"{path} is a folder: give the files in it, each {wanted}: {path}/*", code=2)
        missing = "" if path.exists() else ", and there is no such file"
        raise UserError(f"{others[0]} is not {wanted}{missing}.", code=2)
    if run.takes_pictures:
        texts = [str(path) if images.is_picture(path := Path(text).expanduser()) else text for text in texts]
    chunks = [texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
    with (
        tempfile.TemporaryDirectory() as scratch,
        writing("TMPDIR", Path(scratch)),
        predictor(run, Path(scratch)) as model,
    ):
        answers = answers_of(run, every, threshold=threshold)
        said = [lines for outputs in model.outputs(chunks) for lines in answers.lines(outputs)]
    for text, lines in zip(texts, said, strict=True):
        print(text, *lines, sep="\n  ")


if __name__ == "__main__":
    bootstrap.enter()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as clean as Ctrl-C
    sys.exit(guarded(main))
