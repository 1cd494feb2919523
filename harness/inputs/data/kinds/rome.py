"""French job titles of ROME 4.0, France Travail's directory of occupations, and the domain of each.

An entry has a masculine and a feminine form, `Boulanger / Boulangère de nuit`, or one for both. Each form is a row, as
postings and people write them; the forms of an entry, and of entries that share one, stay in one split.

Published under the Licence Ouverte 2.0 (Etalab), which asks for the attribution that the data report has.
"""

import http.client
import io
import re
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from harness.base import progress
from harness.base.errors import UserError
from harness.base.home import build_beside, home, sha256
from harness.inputs.data.source import Notes, Part, Row, Source
from harness.inputs.data.tables import Options, read_table

OPEN_DATA = "https://api.francetravail.fr/api-nomenclatureemploi/v1/open-data/csv"  # an archive of all of ROME's lists
SECONDS = 30  # to wait for it
TITLES = ("appellations_v*.csv", "unix_referentiel_appellation_v*_utf8.csv")  # the second is its name in the archive
DOMAINS = ("domaines_v*.csv", "unix_cr_gd_dp_v*_utf8.csv")
LEVELS = {"grand_domaine": "grand_domaine", "domaine": "domaine_professionel"}  # as its columns are spelt
LICENCE = "Licence Ouverte 2.0 (Etalab)"
STEM = 3  # letters by which a word is known in its other form


def source(config: Mapping[str, Any]) -> Source:
    """Return the titles as one split; `data.level` names what the classes are."""
    level = config["level"]
    if level not in LEVELS:
        raise UserError(f"data.level={level}: there are {' and '.join(LEVELS)}.")
    folder = Path(config["path"]).expanduser() if config["path"] else fetched()
    if not folder.is_dir():
        raise UserError(f"data.path={folder}: there is no such folder. It must hold {TITLES[0]} and {DOMAINS[0]}.")
    titles, domains = the_one(folder, TITLES), the_one(folder, DOMAINS)

    def read(notes: Notes) -> Iterator[Row]:
        return _rows(titles, domains, LEVELS[level], notes)

    digests = {"titles": sha256(titles), "domains": sha256(domains)}
    version = re.search(r"_v(\d+)", titles.name)
    described = {
        "attribution": "France Travail, ROME 4.0 (Répertoire opérationnel des métiers et des emplois)",
        "licence": LICENCE,
        "version": version[1] if version else None,
        "files": [str(path.absolute()) for path in (titles, domains)],
        "sha256": digests,
    }
    return Source({"train": Part("ROME 4.0", read)}, {"files": digests, "level": level}, described)


def the_one(folder: Path, names: tuple[str, ...]) -> Path:
    """Return the only file in `folder` of one of these names; UserError where there is none, or several."""
    found = sorted(path for name in names for path in folder.glob(name) if path.is_file())
    if len(found) == 1:
        return found[0]
    there = f"has {', '.join(path.name for path in found)}: leave one of them" if found else "has no such file"
    raise UserError(f"data.path={folder}: one file {' or '.join(names)} is needed, and it {there}.")


def fetched() -> Path:
    """Return the folder with the two lists of the open data, fetched once; UserError where that cannot be."""
    folder = home() / "packages" / "rome"
    with build_beside(folder, "fetching ROME 4.0") as building:
        if building is not None:
            with progress.step("fetching ROME 4.0 from France Travail's open data"):
                unpack(_download(), building)
    return folder


def unpack(archive: bytes, folder: Path) -> None:
    """Write the two lists of the open data's archive into `folder`; UserError where it is damaged or lacks one."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as within:
            for names in (TITLES, DOMAINS):
                for name in within.namelist():
                    base = name.rpartition("/")[2]
                    if any(fnmatch(base, pattern) for pattern in names):
                        (folder / base).write_bytes(within.read(name))  # its checksum is looked at
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise _instead(f"what came from {OPEN_DATA} is no whole archive ({error})") from None
    for names in (TITLES, DOMAINS):
        if not [path for name in names for path in folder.glob(name)]:
            raise _instead(f"the archive at {OPEN_DATA} has no {' or '.join(names)} any more")


def _download() -> bytes:
    request = urllib.request.Request(OPEN_DATA, headers={"User-Agent": "finetune-recipes"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return bytes(answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise _instead(f"ROME's open data cannot be reached ({error}): {OPEN_DATA}") from None


def _instead(what: str) -> UserError:
    return UserError(
        f"{what}.\nGive data.path=FOLDER, a folder with its lists {TITLES[1]} and {DOMAINS[1]} "
        f"(or {TITLES[0]} and {DOMAINS[0]}); on a machine that reaches it, a browser fetches the archive they are in."
    )


def _rows(titles: Path, domains: Path, column: str, notes: Notes) -> Iterator[Row]:
    columns = ["code_rome", f"code_{column}", f"libelle_{column}"]
    names = {cells[0]: f"{cells[1]} {cells[2]}" for _, cells in read_table(domains, columns, Options(), {})}
    entries = list(read_table(titles, ["libelle_appellation_long", "code_rome"], Options(), notes))
    together, seen = Together(), set()
    for _, (entry, _) in entries:
        together.join(form.casefold() for form in forms(entry))
    for number, (entry, code) in entries:
        if code not in names:
            raise UserError(f"{titles}, row {number}: {domains.name} has no code_rome `{code}`.")
        for form in forms(entry):
            if form.casefold() not in seen:
                seen.add(form.casefold())
                yield number, form, names[code], together.of(form.casefold())


def forms(entry: str) -> list[str]:
    """Return the forms of an entry: of `Agent / Agente de tri` these are `Agent de tri` and `Agente de tri`.

    The second form stands for as many words of the first as it changes, from the one of the same stem on, or else from
    the first; what follows belongs to both.
    """
    left, right = map(str.split, entry.partition(" / ")[::2])
    if not right:
        return [entry]
    kept = next((at for at, word in enumerate(left) if word[:STEM].lower() == right[0][:STEM].lower()), 0)
    return [" ".join([*left, *right[len(left) - kept :]]), " ".join([*left[:kept], *right])]


class Together:
    """Texts in groups: those that are joined, by whichever others, are one."""

    def __init__(self) -> None:
        self.above: dict[str, str] = {}

    def of(self, text: str) -> str:
        """Return the text that stands for the group of `text`."""
        while text != (text := self.above.setdefault(text, text)):
            pass
        return text

    def join(self, texts: Iterator[str]) -> None:
        first, *others = map(self.of, texts)
        for other in others:
            self.above[self.of(other)] = self.of(first)
