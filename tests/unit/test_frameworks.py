"""What is asked of frameworks, by stand-ins for them; tests/recipes/test_frameworks.py asks those that are there."""

import os
import sys
import types

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from harness import config
from harness.runs import launch
from harness.runs.outcome import Outcome
from harness.use import run
from recipes.contract import frameworks
from recipes.contract.job import Job, Placement
from recipes.worker import main as worker


@pytest.fixture
def imported(monkeypatch):
    """Have only these frameworks imported; return a function that adds one."""
    for name in ("torch", "jax", "tensorflow", "mxnet", "keras"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return lambda name, **parts: monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(**parts))


class Cuda:
    """torch.cuda of a machine with four cards, of which this process has used the second and the fourth."""

    def __init__(self, begun=True):
        self.begun, self.waited = begun, []

    def is_initialized(self):
        return self.begun

    def device_count(self):
        return 4

    def max_memory_reserved(self, device):
        assert self.begun
        return {1: 900, 3: 700}.get(device, 0)

    def max_memory_allocated(self, device):
        return {1: 800, 3: 600}[device]

    def synchronize(self, device):
        self.waited.append(device)


@pytest.mark.parametrize(("begun", "waited", "peak"), [(True, [1, 3], 1400), (False, [], None)])
def test_of_torch_the_devices_that_it_has_used_are_waited_for_and_their_memory_told(imported, begun, waited, peak):
    cuda = Cuda(begun)
    imported("torch", cuda=cuda)
    frameworks.wait()
    assert cuda.waited == waited
    assert frameworks.main().allocated_peak() == peak


def test_of_jax_and_tensorflow_the_peaks_of_all_gpus_are_added(imported):
    told = [{"peak_bytes_in_use": 300}, {"peak_bytes_in_use": 500}]
    begun = types.SimpleNamespace(backends_are_initialized=lambda: True)
    devices = [types.SimpleNamespace(memory_stats=lambda stats=stats: stats) for stats in told]
    imported("jax", local_devices=lambda: devices, _src=types.SimpleNamespace(xla_bridge=begun))
    assert frameworks.main().allocated_peak() == 800


def test_the_seed_goes_to_what_each_draws_from(imported):
    seeded = []
    imported("torch", manual_seed=lambda number: seeded.append(("torch", number)))
    imported("tensorflow", random=types.SimpleNamespace(set_seed=lambda number: seeded.append(("tensorflow", number))))
    imported("mxnet", random=types.SimpleNamespace(seed=lambda number: seeded.append(("mxnet", number))))
    imported("jax")  # draws from keys that it is handed
    frameworks.seed(7)
    assert seeded == [("torch", 7), ("tensorflow", 7), ("mxnet", 7)]


def test_what_jax_compiled_is_told_with_the_shapes_of_what_took_the_longest(imported, monkeypatch):
    listeners = []
    monitoring = types.SimpleNamespace(register_event_duration_secs_listener=listeners.append)
    monkeypatch.setattr(frameworks, "TABLE", [frameworks.Jax()])
    assert frameworks.compiled(0) is None
    imported("jax", monitoring=monitoring)
    assert frameworks.compiled(0) is None, "nobody has begun to look"
    frameworks.watch()
    frameworks.watch()
    (listener,) = listeners
    assert frameworks.compiled(0) == {"seconds": 0, "shapes": 0}
    for kind, seconds, function in (
        ("backend_compile", 8.0, "jit(encode)"),
        ("backend_compile", 5.0, "jit(step)"),
        ("jaxpr_trace", 7.0, "step"),  # of functions within one another: their seconds would count twice
        ("backend_compile", 0.25, "jit(zeros)"),
        ("backend_compile", 0.25, "jit(zeros)"),
        ("backend_compile", 0.25, "jit(zeros)"),
        ("backend_compile", 4.0, "jit(step)"),
    ):
        listener(f"/jax/core/compile/{kind}_duration", seconds, fun_name=function)
    assert frameworks.compiled(1) == {"seconds": 9.75, "shapes": 2}


def test_what_tensorflow_traced_is_told_with_the_times_of_what_took_the_longest(imported, monkeypatch):
    callbacks, clock = [], [9_000_000]
    counter = types.SimpleNamespace(get_cell=lambda: types.SimpleNamespace(value=lambda: clock[0]))
    monkeypatch.setattr(frameworks, "TABLE", [frameworks.TensorFlow()])
    imported("tensorflow")
    imported(f"{frameworks.TRACING}.transform", CONCRETE_FUNCTION_CALLBACKS=callbacks)
    imported(f"{frameworks.TRACING}.tracing_compilation", _graph_building_time_counter=counter)
    assert frameworks.compiled(0) is None, "nobody has begun to look"
    frameworks.watch()
    frameworks.watch()
    (callback,) = callbacks
    assert frameworks.compiled(0) == {"seconds": 0, "shapes": 0}

    def trace(name, seconds, *within):
        for one in (*within, name):  # those within it end first, and its seconds are counted when it has ended
            callback(types.SimpleNamespace(graph=types.SimpleNamespace(name=one)))
        clock[0] += int(seconds * 1e6)

    trace("encode", 8.0)
    trace("step", 5.0, "loss", "loss", "loss")
    trace("Dataset_map", 0.25)
    trace("step", 4.0, "loss")
    assert frameworks.compiled(1) == {"seconds": 9.25, "shapes": 2}


def test_mxnet_is_waited_for(imported):
    waited = []
    imported("mxnet", nd=types.SimpleNamespace(waitall=lambda: waited.append(True)))
    frameworks.wait()
    assert waited == [True]


def test_keras_is_the_backend_that_it_runs_on_whatever_else_is_imported(imported):
    for name in ("torch", "jax", "tensorflow"):
        imported(name)
    assert [framework.name for framework in frameworks.used()] == ["torch", "jax", "tensorflow"]
    imported("keras", config=types.SimpleNamespace(backend=lambda: "jax"))
    assert [framework.name for framework in frameworks.used()] == ["jax"]


def test_without_a_framework_there_is_nothing_to_wait_for_nor_to_tell(imported):
    frameworks.wait()
    frameworks.allow_tf32(True)
    assert frameworks.main().allocated_peak() is None
    assert frameworks.matmul_precision(gpu=True) is None


def torch_like(**more):
    """PyTorch's switches of fp32 products, as a library may have left them."""
    switches = types.SimpleNamespace(
        cuda=types.SimpleNamespace(matmul=types.SimpleNamespace(**more)),
        cudnn=types.SimpleNamespace(allow_tf32=True),
    )
    told = []
    return {"backends": switches, "set_float32_matmul_precision": told.append, "told": told}


@pytest.mark.parametrize(
    ("framework", "gpu", "said"),
    [
        (torch_like(fp32_precision="tf32"), True, "tf32"),
        (torch_like(fp32_precision="ieee"), True, "fp32"),
        (torch_like(allow_tf32=True), True, "tf32"),  # before PyTorch 2.9
        (torch_like(allow_tf32=False), True, "fp32"),
        (torch_like(fp32_precision="tf32"), False, "fp32"),
    ],
)
def test_what_products_are_made_of_is_what_the_framework_says_at_the_end_on_gpus(imported, framework, gpu, said):
    imported("torch", **framework)
    assert frameworks.matmul_precision(gpu) == said


@pytest.mark.parametrize(
    ("precision", "use_cpu", "told", "cudnn", "variable"),
    [
        ("tf32", False, ["high"], True, None),
        ("fp32", False, ["highest"], False, "0"),
        ("bf16", False, ["highest"], False, "0"),
        ("fp32", True, [], True, "0"),  # there is no TF32 on processors, and PyTorch has other shortcuts there
    ],
)
def test_the_worker_settles_tf32_on_gpus_for_the_job_and_nvidia_s_libraries_before_the_import(
    imported, monkeypatch, tmp_path, precision, use_cpu, told, cudnn, variable
):
    torch = torch_like()
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")

    def import_module(name):
        assert os.environ.get("NVIDIA_TF32_OVERRIDE") == variable
        imported("torch", **torch)
        return name

    monkeypatch.setattr(worker.importlib, "import_module", import_module)
    job = types.SimpleNamespace(
        recipe="torch", precision=precision, placement=Placement(use_cpu=use_cpu), controlled=False
    )
    assert worker.recipe_of(job) == "recipes.torch.recipe"
    assert (torch["told"], torch["backends"].cudnn.allow_tf32) == (told, cudnn)


def named(name, text="", *bases):
    return type(name, bases or (RuntimeError,), {})(text)


def raised(error, cause):
    error.__cause__ = cause
    return error


NO_MEMORY = [
    MemoryError(),
    named("_ArrayMemoryError", "Unable to allocate 8.00 PiB for an array", MemoryError),
    OSError(12, "Cannot allocate memory"),
    named("OutOfMemoryError", "CUDA out of memory. Tried to allocate 20.00 MiB."),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    named("DistBackendError", "NCCL error: unhandled cuda error. Last error: Cuda failure 2 'out of memory'"),
    named("ResourceExhaustedError", "{{function_node __wrapped__Fill}} failed to allocate memory [Op:Fill]"),
    named("XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory allocating 70368744177664 bytes."),
    named("JaxRuntimeError", "RESOURCE_EXHAUSTED: Failed to allocate request for 4.00GiB on device ordinal 0"),
    named(
        "InternalError", "Exception encountered when calling Dense.call().\n\n\x1b[1mOOM when allocating tensor with"
    ),
    named("MXNetError", "Check failed: e == cudaSuccess: cudaMalloc retry failed: out of memory"),
    named("MXNetError", "../src/storage/./cpu_device_storage.h, line 74\nMXNetError: Failed to allocate CPU Memory"),
    RuntimeError("std::bad_alloc"),
    raised(RuntimeError("Caught in a loader's process"), MemoryError()),
]
OTHERS = [
    ValueError("learning rate"), KeyError("memory"), RuntimeError("CUDA error: device-side assert triggered"),
    named("XlaRuntimeError", "INVALID_ARGUMENT: shapes"), OSError(28, "No space left on device"),
    raised(RuntimeError("first"), ValueError("second")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "expected"),
    [*((error, True) for error in NO_MEMORY), *((error, False) for error in OTHERS)],
    ids=lambda value: str(value)[:40],
)
def test_every_library_s_word_for_no_memory_ends_in_a_row_out_of_memory_and_half_the_batch(tmp_path, error, expected):
    job = types.SimpleNamespace(rank=0, local_rank=0, folder=tmp_path)
    job.event = lambda kind, **values: Job.event(job, kind, **values)

    def fail():
        raise error

    assert worker.told(job, fail) == 1
    outcome = Outcome(phase="train")
    with open(tmp_path / "events.jsonl", encoding="utf-8") as events:
        launch.follow(events, outcome)
    outcome.end(*launch.diagnose(1, outcome, tmp_path))
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        settings = config.checked(compose("config", ["recipe=torch", "on_oom=halve_batch"]))
    assert outcome.status == ("out_of_memory" if expected else "failed")
    assert outcome.reason.startswith((type(error).__name__, "no space left"))
    again = run.another(settings, outcome)
    assert (again and again.how) == (" with half the batch" if expected else None)
    if again:
        assert (again.settings.train.batch_size, again.settings.train.accumulate) == (32, 2)
    assert (settings.train.batch_size, settings.train.accumulate) == (64, 1)


def test_an_error_that_is_its_own_cause_ends():
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert not frameworks.is_out_of_memory(one)


def test_a_product_is_computed_to_its_end_where_the_matrix_is(imported):
    waited = []
    product = types.SimpleNamespace(wait_to_read=lambda: waited.append(True))
    nd = types.SimpleNamespace(dot=lambda one, other: product, array=lambda values, device: (values, device))
    imported("mxnet", nd=nd, gpu=lambda: "gpu", cpu=lambda: "cpu")
    values = np.zeros((2, 2), np.float32)
    assert frameworks.main().matrix(values, half=True, gpu=False) is None
    matrix = frameworks.main().matrix(values, half=False, gpu=True)
    assert matrix[1] == "gpu"
    frameworks.main().multiply(matrix)
    assert waited == [True]
