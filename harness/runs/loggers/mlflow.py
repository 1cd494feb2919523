"""logger=mlflow: a run in `outputs/mlflow.db`, an experiment for each data set."""

import json
import sys
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from harness.base.home import locked

ENDED = {"finished": "FINISHED", "interrupted": "KILLED"}


def main(folder: Path, outputs: Path) -> None:
    """Log to a new MLflow run; one of the same name that was cut off is marked as killed."""
    first = json.loads(sys.stdin.readline())
    with locked(outputs / ".mlflow.lock", "the MLflow database"):  # two that make its tables at once would clash
        client = MlflowClient(f"sqlite:///{outputs / 'mlflow.db'}")
        known = client.get_experiment_by_name(first["about"]["data"])
        experiment = known.experiment_id if known else client.create_experiment(
            first["about"]["data"], (outputs / ".mlflow").as_uri()
        )  # fmt: skip
    mine = f"attributes.run_name = '{first['name']}' and attributes.status = 'RUNNING'"
    for lost in client.search_runs([experiment], mine):
        client.set_terminated(lost.info.run_id, "KILLED")
    run = client.create_run(experiment, run_name=first["name"]).info.run_id
    client.log_batch(run, params=[Param(key, str(value)) for key, value in first["about"].items()])
    status = "interrupted"  # the harness was killed, if it never says
    for record in map(json.loads, sys.stdin):
        status = record.get("status", status)
        if values := record.get("values"):
            when, step = int(1000 * record["time"]), record["step"]
            client.log_batch(run, [Metric(name, value, when, step) for name, value in values.items()])
    client.set_terminated(run, ENDED.get(status, "FAILED"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
