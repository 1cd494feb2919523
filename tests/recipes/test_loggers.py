"""logger=: what a run reports arrives under the same names in each, read back with the loggers' own readers."""

import csv
import json
import math
import subprocess

import pytest
from support import Runs, killed_in, others

from harness.base import environments

MLFLOW = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(f"sqlite:///{sys.argv[1]}/mlflow.db")
(experiment,) = [e for e in client.search_experiments() if e.name == "job_titles"]
print(json.dumps([
    {"name": run.info.run_name, "status": run.info.status, "params": run.data.params, "values": [
        [m.step, name, m.value] for name in run.data.metrics for m in client.get_metric_history(run.info.run_id, name)]}
    for run in client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])]))
"""
TENSORBOARD = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0}).Reload()
print(json.dumps([[e.step, name, e.value] for name in events.Tags()["scalars"] for e in events.Scalars(name)]))
"""


def read(environment, code, folder):
    python = environments.ensure(environment).python
    return json.loads(subprocess.run([python, "-c", code, folder], capture_output=True, text=True, check=True).stdout)


def by_name(values):
    return {(step, name): value for step, name, value in values}


def test_each_logger_has_all_that_the_run_reported(runs, tmp_path):
    words = ["recipe=hf_trainer", "logger=[csv,mlflow,tensorboard]"]
    killed_in("train", runs, words, tmp_path)
    runs.run(*words)
    (folder,) = runs.folders()
    with open(folder / "log.csv", encoding="utf-8", newline="") as handle:
        written = by_name((int(row["step"]), row["name"], float(row["value"])) for row in csv.DictReader(handle))
    row = runs.row()
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [event for event in events if event["event"] == "step" and "loss" in event]
    for key, name in {"loss": "loss", "learning_rate": "learning_rate", "grad_norm": "gradient_norm"}.items():
        reported = {event["step"]: event[key] for event in steps}
        assert {step: value for (step, n), value in written.items() if n == f"train/{name}"} == reported
    assert written[row["train.steps"], "valid/macro_f1"] == row["valid.macro_f1"]
    assert not any(name.startswith("test") for _, name in written), "the test split is not for watching"
    speeds = [value for (_, name), value in written.items() if name == "train/samples_per_second"]
    assert min(speeds) > 0
    assert any(name == "memory/rss_mb" for _, name in written)

    killed, finished = read("mlflow", MLFLOW, runs.outputs)
    assert (killed["status"], finished["status"]) == ("KILLED", "FINISHED")
    assert killed["name"] == finished["name"] == folder.name
    assert finished["params"]["recipe"] == "hf_trainer"
    assert by_name(finished["values"]) == written
    shown = by_name(read("tensorboard", TENSORBOARD, folder / "tensorboard"))
    assert shown.keys() == written.keys()
    assert all(math.isclose(shown[key], written[key], rel_tol=1e-6) for key in written)  # it keeps float32


def test_a_logger_that_fails_is_told_and_the_run_goes_on(runs):
    (runs.outputs / "mlflow.db").mkdir(parents=True)
    said = runs.run("recipe=tfidf", "logger=[mlflow,csv]")
    assert "logger=mlflow did not write all: " in said
    assert runs.row()["status"] == "finished"
    assert (runs.folders()[0] / "log.csv").exists()


@pytest.mark.parametrize("logger", others(["logger=none", "logger=null", "logger=[]"], "logger=null"))
def test_none(runs, logger):
    runs.run("recipe=tfidf", logger)
    assert not list(runs.folders()[0].glob("log*.csv"))


def test_one_that_there_is_not(tmp_path):
    said = Runs(tmp_path).run("recipe=tfidf", "logger=wandb", code=2)
    assert said.strip() == "error: logger=wandb: there are csv, mlflow, tensorboard and none."
