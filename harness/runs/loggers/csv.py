"""logger=csv: `log.csv` in the run's folder, one figure a line: step, time, name, value."""

import csv
import json
import sys
from pathlib import Path


def main(folder: Path) -> None:
    with open(folder / "log.csv", "a", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        if not handle.tell():  # a run that goes on from a checkpoint goes on in its file
            writer.writerow(["step", "time", "name", "value"])
        for record in map(json.loads, sys.stdin):
            for name, value in record.get("values", {}).items():
                writer.writerow([record["step"], f"{record['time']:.3f}", name, value])
            handle.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
