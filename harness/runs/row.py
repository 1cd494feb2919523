"""The row of a run: one flat JSON object, `result.json`. outputs/README.md says what each key means."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class Row(Mapping[str, Any]):
    """What is told of a run, by key. Rows of older versions have fewer, and nobody changes one."""

    def __init__(self, figures: Mapping[str, Any]):
        self._figures = {**figures}

    @classmethod
    def read(cls, path: Path) -> "Row":
        """Return the row that a file has; ValueError where it has none."""
        figures = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(figures, dict):
            raise ValueError(f"{path} has no object")
        return cls(figures)

    def __getitem__(self, key: str) -> Any:
        return self._figures[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._figures)

    def __len__(self) -> int:
        return len(self._figures)

    def __repr__(self) -> str:
        return f"Row({self._figures})"

    @property
    def status(self) -> str:
        """How the run ended: finished, failed, timed_out, out_of_memory, interrupted, pruned."""
        return self.get("status", "")

    @property
    def finished(self) -> bool:
        return self.status == "finished"

    @property
    def reason(self) -> str | None:
        """Why it did not finish."""
        return self.get("reason")

    @property
    def log(self) -> str | None:
        """The path of the full log, of a run that did not finish."""
        return self.get("log")
