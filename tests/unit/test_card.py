"""The card of a model: what the hub reads of it, what people read, and what it must not name; and sending it."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import runs_support
import yaml
from huggingface_hub import ModelCard, ModelCardData
from support import ROOT

from harness.figures.metrics import METRICS
from harness.figures.metrics.classification import COUNTED
from harness.results.compare import statistics
from harness.use import card, saved


@pytest.fixture
def run(tmp_path):
    """Write a run and its card; return the card and the run's row."""

    def make(task="classification", **config):
        folder = tmp_path / "outputs" / "csv" / f"hf_trainer-{task}"
        made = runs_support.write(folder, task, **config)
        card.write(saved.find(str(folder), tmp_path))
        return (folder / "model" / "README.md").read_text(encoding="utf-8"), made

    return make


def test_the_hub_reads_the_figures_the_licence_and_what_it_began_with(run):
    text, row = run()
    read = ModelCard(text).data
    assert isinstance(read, ModelCardData)
    assert (read.license, read.base_model, read.language) == ("apache-2.0", "owner/encoder", "en")
    assert (read.pipeline_tag, read.library_name) == ("text-classification", "transformers")
    found = {(one.dataset_split, one.metric_name): one.metric_value for one in read.eval_results}
    assert found["test", "macro-F1"] == row["test.macro_f1"]
    assert found["valid", "accuracy"] == row["valid.accuracy"]
    assert ModelCardData(**read.to_dict()).to_yaml() == read.to_yaml()


@pytest.mark.parametrize("task", METRICS)
def test_each_task_says_what_it_answers_and_how_good_it_is(run, task):
    text, row = run(task)
    primary = METRICS[task].primary
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {METRICS[task].primary_name} |")]
    valid, test = (cell.split(" [") for cell in line.strip("| ").split(" | ")[1:])
    for split, (value, interval) in (("valid", valid), ("test", test)):
        low, high = (float(end.replace(",", "")) for end in interval.rstrip("]").split(", "))
        assert float(value.replace(",", "")) == pytest.approx(row[f"{split}.{primary}"], abs=0.06)
        assert low < row[f"{split}.{primary}"] < high
    shown = {"tagging": "skill", "multilabel": "night", "regression": "salary", "classification": "cooking | kitchen"}
    assert f"`{shown[task]}`" in text
    assert "of 3 classes" in text or task != "classification"
    (lines,) = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    compile(lines, "card", "exec")
    assert "max_length=64" in lines


def test_the_interval_of_a_share_is_the_binomial_s():
    labels = np.zeros(400, np.int32)
    answers = (np.arange(400) < 100).astype(np.int32)
    found = statistics.of_rows(COUNTED["accuracy"], labels, answers, 1.0)
    assert found.value == 0.75
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert (found.low, found.high) == (pytest.approx(0.75 - half, abs=0.006), pytest.approx(0.75 + half, abs=0.006))
    all_right = statistics.of_rows(COUNTED["accuracy"], labels, labels, 1.0)
    assert all_right == (1, 1, 1)


def test_it_names_no_folder_of_this_machine(run, tmp_path):
    text, _ = run()
    assert "jobs.csv" in text
    assert "data.train=jobs.csv" in text
    for private in ("/home", "secret", str(tmp_path)):
        assert private not in text


@pytest.mark.parametrize(
    ("config", "wanted", "not_wanted"),
    [
        ({"model": {"licence": None}}, "- of the weights it began with: not known here", "license:"),
        ({"model": {"from_scratch": 0}}, "Nothing in it is pretrained.", "of the weights"),
        ({"model": {"path": "/home/me/own", "licence": "mit"}}, "license: mit", "owner/encoder"),
        ({"data": {"licence": "CC-BY-4.0"}}, "- of the data: CC-BY-4.0", "of the data: not known"),
        ({}, "- of the data: not known here", "license: null"),
    ],
)
def test_licences_are_told_where_they_are_known_and_missed_where_not(run, config, wanted, not_wanted):
    text, _ = run(**config)
    assert wanted in text
    assert not_wanted not in text


def test_all_that_is_chosen_by_name_says_its_licence():
    for path in (*(ROOT / "conf" / "data").glob("*.yaml"), *(ROOT / "conf" / "model").glob("*.yaml")):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        own = path.stem in ("csv", "hub", "images", "path", "small")  # whoever gives them knows it
        assert (values["licence"] is None) == own, path


class Hub(ThreadingHTTPServer):
    """What the hub answers to who makes a repository and commits small files, and what it was given."""

    def __init__(self, status=200):
        super().__init__(("127.0.0.1", 0), Answers)
        self.status, self.asked = status, []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.asked.append((self.path, self.headers.get("Authorization"), body))
        answer = {"url": f"{self.server.address}/me/jobs", "commitOid": "0" * 40, "success": True}
        answer["commitUrl"] = f"{self.server.address}/me/jobs/commit/{'0' * 40}"
        if "/preupload/" in self.path:
            files = [one["path"] for one in json.loads(body)["files"]]
            answer = {"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in files]}
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer if self.server.status == 200 else {"error": "no"}).encode())

    def log_message(self, *_):
        pass


def push(*words, hub=None, token="hf_token", **variables):
    environment = {**os.environ, "HF_TOKEN": token, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0", "NO_PROXY": "127.0.0.1"}
    environment |= {"HF_ENDPOINT": hub.address if hub else "http://127.0.0.1:9", "HF_HOME": "/nowhere", **variables}
    command = [sys.executable, str(ROOT / "scripts" / "push.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def model(run, tmp_path):
    """The folder of a run whose model has a pickle of its library below, and a link to a file elsewhere."""
    run()
    (folder,) = (tmp_path / "outputs" / "csv").iterdir()
    (folder / "model" / "fastai").mkdir()
    (folder / "model" / "fastai" / "model.pth").write_bytes(b"pickle")
    (tmp_path / "private.txt").write_text("private", encoding="utf-8")
    (folder / "model" / "notes.txt").symlink_to(tmp_path / "private.txt")
    return folder


OWN = ["README.md", "config.json", "head.safetensors", "model.safetensors"]


@pytest.mark.parametrize(
    ("options", "sent", "visibility"),
    [([], OWN, "private"), (["--all", "--public"], [*OWN, "fastai/model.pth"], "public")],
)
def test_what_a_dry_run_shows_is_what_is_sent(model, options, sent, visibility):
    hub = Hub()
    dry = push(model, "me/jobs", "--dry-run", *options, hub=hub)
    assert dry.returncode == 0, dry.stderr
    assert hub.asked == []
    shown = [line.split("MB  ")[1] for line in dry.stdout.splitlines() if " MB  " in line]
    assert sorted(shown) == sorted(sent)
    assert shown[0] == "README.md"
    assert ("not sent: fastai/" in dry.stdout) == (not options)
    done = push(model, "me/jobs", *options, hub=hub)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{hub.address}/me/jobs"
    paths, tokens, bodies = zip(*hub.asked, strict=True)
    assert set(tokens) == {"Bearer hf_token"}
    assert json.loads(bodies[0])["visibility"] == visibility
    commits = [json.loads(line) for path, body in zip(paths, bodies, strict=True) if "/commit/" in path
               for line in body.splitlines()]  # fmt: skip
    assert sorted(one["value"]["path"] for one in commits if one["key"] == "file") == sorted(sent)


@pytest.mark.parametrize(
    ("words", "how", "said"),
    [
        (["me/jobs"], {"token": ""}, "the hub asks who you are: log in"),
        (["me/jobs"], {}, "the hub cannot be reached: "),
        (["me/jobs"], {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        (["a b/c"], {}, "REPO a b/c: give OWNER/NAME"),
        (["me/jobs"], {"status": 403}, "the hub does not let you write to me/jobs"),
        (["me/jobs"], {"status": 404}, "the hub did not take me/jobs (status 404): no"),
    ],
)
def test_what_cannot_be_sent_is_told_in_a_line(model, words, how, said):
    status = how.pop("status", None)
    done = push(model, *words, hub=Hub(status) if status else None, **how)
    assert done.returncode in (1, 2)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert said in errors[0]
    assert "Traceback" not in done.stderr


def test_a_run_that_is_not_there_is_told(tmp_path):
    done = push("nosuch", "me/jobs", "--outputs", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: nosuch: there is no such folder")
