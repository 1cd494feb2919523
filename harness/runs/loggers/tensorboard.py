"""logger=tensorboard: an event file in the run's folder; `tensorboard --logdir outputs` shows all runs."""

import json
import sys
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter


def main(folder: Path) -> None:
    writer = EventFileWriter(str(folder / "tensorboard"), flush_secs=2)
    for record in map(json.loads, sys.stdin):
        values = [Summary.Value(tag=name, simple_value=value) for name, value in record.get("values", {}).items()]
        if values:
            writer.add_event(Event(wall_time=record["time"], step=record["step"], summary=Summary(value=values)))
    writer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
