"""Made-up French job ads, with the spans of jobs and skills in them, and a salary: small data of each task."""

import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

JOBS = {
    "aide-soignante": 22.0, "boulanger": 23.5, "cariste": 24.0, "infirmier de nuit": 31.0, "comptable unique": 34.0,
    "conducteur de travaux": 41.0, "développeuse web": 43.0, "cheffe de projet": 49.0,
}  # fmt: skip  # thousands of euros a year for a beginner
SKILLS = ["l'anglais", "la paie", "le permis CACES 3", "Excel", "le froid industriel", "la gestion d'équipe", "Python",
          "l'accueil du public", "la lecture de plans", "les soins palliatifs"]  # fmt: skip
PLACES = ["Lyon", "Nîmes", "Saint-Étienne", "Brest", "Évry", "Orléans"]
FRAMES = [
    "{job} à {place}. Vous avez {years} ans d'expérience et maîtrisez {one} ainsi que {two}.",
    "Notre agence de {place} recrute : {job}, {years} ans de métier ; {one} exigé, {two} serait un plus.",
    "Expérience de {years} ans avec {one} et {two} ? Devenez {job} à {place}, en CDI (f/h) !",
]


class Ad(NamedTuple):
    """A text, its spans as Label Studio has them, and thousands of euros a year."""

    text: str
    spans: list[dict[str, Any]]
    salary: float


def ads(rows: int) -> Iterator[Ad]:
    """Yield so many ads, always the same; every eighth is several in one, and so longer than a window.

    Three labels in ten are wrong, and salaries vary: a loss that came near 0 would be rounding noise to compare.
    """
    draw = random.Random(0)
    for row in range(rows):
        parts, spans, salary = "", [], 0.0
        for _ in range(3 if row % 8 == 7 else 1):
            parts += " " if parts else ""
            job, years = draw.choice(list(JOBS)), draw.randint(1, 19)
            values = dict(zip(("one", "two"), draw.sample(SKILLS, 2), strict=True), job=job)
            frame = draw.choice(FRAMES).replace("{place}", draw.choice(PLACES)).replace("{years}", str(years))
            while (start := frame.find("{")) >= 0:
                name = frame[start + 1 : frame.index("}")]
                frame = frame.replace("{" + name + "}", values[name], 1)
                begin = len(parts) + start
                label = "métier" if (name == "job") == (draw.random() < 0.7) else "compétence"
                spans.append({"start": begin, "end": begin + len(values[name]), "label": label})
            parts += frame
            salary = round(JOBS[job] + 0.9 * years + draw.gauss(0, 6), 1)
        yield Ad(parts, spans, salary)


def write(task: str, rows: int, folder: Path) -> None:
    """Write a file of ads for tagging or regression into a folder."""
    if task == "tagging":
        lines = [json.dumps({"texte": ad.text, "mentions": ad.spans}, ensure_ascii=False) for ad in ads(rows)]
        (folder / "offres.jsonl").write_text("\n".join(lines), encoding="utf-8")
        return
    with open(folder / "offres.csv", "w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([["texte", "salaire"], *([ad.text, ad.salary] for ad in ads(rows))])


def words(task: str, folder: Path) -> list[str]:
    """Return the words of the command line for such a file."""
    file, label = ("offres.jsonl", "mentions") if task == "tagging" else ("offres.csv", "salaire")
    data = ["data=csv", f"data.train={folder}/{file}", "data.text=texte", f"data.label={label}"]
    return [*data, f"task={task}", "data.max_length=64"]
