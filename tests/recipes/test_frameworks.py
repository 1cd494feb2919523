"""The frameworks that are there, each in its own environment: waiting, running out of memory, TF32, a matrix product.

What only a GPU shows is asked of stand-ins, in tests/unit/test_frameworks.py.
"""

import json
import subprocess

import pytest
from job_support import a_job
from support import ROOT

from harness.base import environments
from harness.runs import launch
from harness.runs.outcome import Outcome

# In each, `slow` is work that the framework does on its own for a while, and `ended` tells whether it has; `dropped`
# has it done without the framework knowing anybody who waits for what comes of it. `finish` waits for it where a
# framework may say a moment late that it has been done. `huge` is too much for the memory.
SLOW = {
    "keras_jax": """
import os
os.environ["KERAS_BACKEND"] = "jax"
import jax, jax.numpy as jnp, keras
frameworks.wait()  # nothing is begun by it: how many devices there are can be said yet
jax.config.update("jax_num_cpu_devices", 2)
slow = jax.jit(lambda: jax.lax.fori_loop(0, 20, lambda _, x: x @ x * 1e-3, jnp.ones((1000, 1000))))
ended, finish = lambda result: result.is_ready(), jax.block_until_ready
def dropped():
    jax.live_arrays = lambda: []
huge = lambda: jnp.zeros((1 << 44,))
""",
    "keras_tensorflow": """
import os, time
os.environ["KERAS_BACKEND"] = "tensorflow"
import tensorflow as tf, keras
frameworks.wait()
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
tf.config.experimental.set_synchronous_execution(False)
done = []
def slow():
    done.clear()
    tf.py_function(lambda: time.sleep(1) or done.append(True) or 0.0, [], tf.float32)
ended, finish = lambda result: bool(done), lambda result: None
dropped = lambda: None
huge = lambda: tf.zeros((1 << 44,)).numpy()
""",
    "hf_trainer": """
import torch
slow = dropped = lambda: None  # on processors it does not return before
ended, finish = lambda result: True, lambda result: None
huge = lambda: torch.empty(1 << 46)
""",
}
ASKED = """
import json, sys, time
from pathlib import Path
from recipes.contract import frameworks
from recipes.contract.job import Job
from recipes.worker import peak
from recipes.worker.main import told

job, launched = Job.read(Path(sys.argv[1])), []
exec(sys.argv[2])
for prepare in (lambda: None, dropped):
    prepare()
    began = time.perf_counter()
    with job.phase("train"):
        result = slow()
        launched.append(ended(result))
    then = time.perf_counter()
    finish(result)
    left = time.perf_counter() - then
    assert ended(result) and left < 0.1 * (then - began), f"the phase ended while the device worked: {prepare}, {left}"
found = {"used": [framework.name for framework in frameworks.used()], "launched": launched}
found["allocated"] = frameworks.main().allocated_peak()
for allowed in (True, False):
    frameworks.allow_tf32(allowed)
    found[f"tf32 {allowed}"] = [frameworks.main().tf32(), frameworks.matmul_precision(gpu=True)]
peak.SIZES, peak.SECONDS = {"cpu": 512}, 0.0
found["gflops"] = peak.gflops(job)
assert told(job, huge) == 1
print(json.dumps(found))
"""
NAMES = {"keras_jax": "jax", "keras_tensorflow": "tensorflow", "hf_trainer": "torch"}


@pytest.mark.parametrize("name", SLOW)
def test_a_phase_ends_when_the_work_has_no_memory_is_told_and_tf32_is_what_was_said(tmp_path, name):
    a_job(tmp_path).write()
    command = [environments.ensure(name).python, "-c", ASKED, tmp_path / "job.json", SLOW[name]]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr[-3000:]
    found = json.loads(asked.stdout.splitlines()[-1])
    assert found["used"] == [NAMES[name]]
    if name != "hf_trainer":
        assert found["launched"] == [False, False], "it was no proof: the framework had waited itself"
    outcome = Outcome()
    with open(tmp_path / "events.jsonl", encoding="utf-8") as events:
        launch.follow(events, outcome)
    assert launch.diagnose(1, outcome, tmp_path)[0] == "out_of_memory"
    assert found["tf32 True"] == [True, "tf32"]
    assert found["tf32 False"] == [False, "fp32"]
    assert found["allocated"] is None
    assert found["gflops"] > 0
