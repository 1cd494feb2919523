"""What is asked of scripts/choose.py: as options, or, on a terminal where none is given, a few questions."""

import argparse
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.base.errors import UserError, nearest
from harness.results.choose.strength import settings
from harness.results.traits import OWN, WATCH, Library

WHERE = {"cpu": "on processors alone", "gpu": "on a GPU", "both": "on either"}
AIMS = {
    "first_project": "nothing to register, no loop to write",
    "pretrained": "it fine-tunes a pretrained encoder here",
    "from_scratch": "it trains without pretrained weights",
    "reproduce": "it carries the code of papers",
}
TASKS = {
    "classification": "one label a text",
    "multilabel": "any number of labels a text",
    "tagging": "a label a token",
    "regression": "a number a text",
}
PICTURES = "images"  # a task that libraries declare, and what a data set's rows are
LIMITS = {
    "model_mb": "the saved model, at most",
    "p95_ms": "latency of one text at the 95th percentile, at most",
    "texts_per_second": "throughput at the best batch size, at least",
    "memory_mb": "peak memory of the whole run, at most",
    "train_minutes": "training time, at most",
    "environment_mb": "the installed environment, at most",
}


@dataclass
class Question:
    """What somebody wants; empty or None: anything."""

    where: str = "cpu"
    aim: str | None = None
    own: list[str] = field(default_factory=list)
    watch: list[str] = field(default_factory=list)
    task: str | None = None
    language: str | None = None
    age: float | None = None
    data: str | None = None
    limits: dict[str, float] = field(default_factory=dict)
    outputs: Path = Path("outputs")
    results: list[Path] = field(default_factory=list)

    @property
    def device(self) -> str:
        """Return the device whose figures count."""
        return "gpu" if self.where == "gpu" else "cpu"

    @property
    def of_pictures(self) -> bool:
        """Tell whether it is about pictures, and not about texts."""
        return PICTURES in (self.task, settings(f"data/{self.data}").get("input"))


def one_of(option: str, known: Collection[str]) -> Callable[[str], str]:
    """Return a reader of one word of `known`; another is refused with the nearest."""

    def read(text: str) -> str:
        if text not in known:
            raise UserError(f"{option} {text}: there are {', '.join(known)}.{nearest(text, known)}", code=2)
        return text

    return read


def some_of(option: str, known: Collection[str]) -> Callable[[str], list[str]]:
    one = one_of(option, known)
    return lambda text: [one(word.strip()) for word in text.split(",") if word.strip()]


def number(option: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value < float("inf"):
            raise UserError(f"{option} {text}: a number above 0 is needed.", code=2)
        return value

    return read


def known(trait: str, libraries: Collection[Library]) -> list[str]:
    """Return the words that the libraries declare in a trait."""
    values = [library.traits[trait].value for library in libraries if trait in library.traits]
    return sorted({word for value in values for word in value or ()} - {"any", "multilingual"})


def taken(libraries: Collection[Library]) -> list[str]:
    """Return what `task=` may be with a recipe here, in the order of TASKS."""
    return [task for task in TASKS if any(task in library.takes for library in libraries)]


def language(option: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not (len(text) == 2 and text.isalpha()):
            raise UserError(f"{option} {text}: two letters of ISO 639-1 are needed, such as en, fr, de.", code=2)
        return text.lower()

    return read


def parser(description: str | None, libraries: Collection[Library]) -> argparse.ArgumentParser:
    """Return the command line: one option for each thing that may be asked."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def option(name: str, read: Callable[[str], object], what: str, words: Collection[str] = ()) -> None:
        meta = "|".join(words) or "N"
        made.add_argument(name, type=read, metavar=meta, help=what)

    option("--where", one_of("--where", WHERE), "where it must run (default cpu)", WHERE)
    option("--aim", one_of("--aim", AIMS), "what it is for", AIMS)
    option("--own", some_of("--own", OWN), "how much of the implementation is to be yours; several with commas", OWN)
    option("--watch", some_of("--watch", WATCH), "what the library is to give at each step; several with commas", WATCH)
    tasks = sorted({*known("tasks", libraries), *taken(libraries)})
    made.add_argument("--task", type=one_of("--task", tasks), metavar="TASK", help=", ".join(tasks))
    made.add_argument("--language", type=language("--language"), metavar="CODE", help="of the texts: en, fr, …")
    option("--age", number("--age"), "months that the library's last release may be old", ["MONTHS"])
    for limit, what in LIMITS.items():
        name = "--" + limit.replace("_", "-")
        option(name, number(name), what)
    made.add_argument("--data", metavar="NAME", help="whose figures count (default: that with most libraries measured)")
    made.add_argument(
        "--results", type=Path, nargs="+", default=[], metavar="FOLDER",
        help="results to go by (default: outputs where it is as strong as compare asks, else outputs/reference)",
    )  # fmt: skip
    made.add_argument("--explain", action="store_true", help="show every criterion of every library")
    made.add_argument("--json", action="store_true", help="for programs")
    return made


def asked(arguments: argparse.Namespace, libraries: Collection[Library]) -> Question:
    """Return the question that the options put, or, where none does and a person is there, the answers given."""
    limits = {name: value for name in LIMITS if (value := getattr(arguments, name)) is not None}
    wants = {name: getattr(arguments, name) for name in ("where", "aim", "own", "watch", "task", "language", "age")}
    question = Question(**{name: value for name, value in wants.items() if value}, limits=limits)
    question.data, question.results = arguments.data, arguments.results
    silent = arguments.json or any(wants.values()) or limits
    if not silent and sys.stdin.isatty() and sys.stdout.isatty():
        interview(question, libraries)
    return question


def considered(question: Question, libraries: Collection[Library]) -> list[Library]:
    """Return the libraries that come into question: one for pictures does not for text, fast as it may be there."""
    return [one for one in libraries if one.reads_pictures == question.of_pictures]


def words(question: Question) -> list[str]:
    """Return the options that put a question."""
    found = [] if question.where == Question.where else ["--where", question.where]
    given: dict[str, str | float | None] = {
        "aim": question.aim,
        "own": ",".join(question.own),
        "watch": ",".join(question.watch),
    }
    given |= {"task": question.task, "language": question.language, "age": question.age, **question.limits}
    for name, value in {**given, "data": question.data}.items():
        if value:
            found += ["--" + name.replace("_", "-"), f"{value:.10g}" if isinstance(value, float) else str(value)]
    return found + (["--results", *map(str, question.results)] if question.results else [])


def interview(question: Question, libraries: Collection[Library], ask: Callable[[str], str] = input) -> None:
    """Ask a few plain questions; Enter leaves each open."""
    print("Enter leaves a question open.\n")
    question.where = answered(ask, "Where must it run", WHERE, one_of("where", WHERE)) or "cpu"
    question.aim = answered(ask, "What is it for", AIMS, one_of("aim", AIMS))
    question.own = answered(ask, "How much is to be yours (several with commas): you …", OWN, some_of("own", OWN)) or []
    question.watch = (
        answered(ask, "What is to be seen at each step (several with commas)", WATCH, some_of("watch", WATCH)) or []
    )
    tasks = taken(libraries)
    if len(tasks) > 1:
        meant = {task: TASKS[task] for task in tasks}
        question.task = answered(ask, "What is asked of a text", meant, one_of("task", tasks))
    question.language = answered(ask, "Language of the texts: two letters, such as en", {}, language("language"))
    question.age = answered(ask, "Months that its last release may be old", {}, number("age"))
    for limit in ("p95_ms", "memory_mb", "train_minutes"):
        if value := answered(ask, f"{limit.replace('_', ' ')}: {LIMITS[limit]}", {}, number(limit)):
            question.limits[limit] = value
    print()


def answered(ask: Callable[[str], str], what: str, choices: dict[str, str], read: Callable[[str], Any]) -> Any:
    """Ask until the answer can be read; None where it is empty."""
    print(what + "".join(f"\n    {word:<14} {meaning}" for word, meaning in choices.items()))
    while True:
        try:
            text = ask("> ").strip()
            return read(text) if text else None
        except EOFError:
            return None
        except UserError as error:
            print(error)
