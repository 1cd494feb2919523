"""What each deep-learning framework has its own words for: seeds, waiting, a product, memory, TF32, compiling.

`TABLE` has an entry for each; what numpy does stands for the rest. A framework is in use when the recipe has imported
it: nothing is imported here, and Keras is the backend that it runs on.
"""

import os
import sys
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np


class Compilation(NamedTuple):
    """One function, compiled (or traced) for one shape of what it is given."""

    function: str
    seconds: float  # wall


class Framework:
    """numpy: it has computed when it returns, on the processors. What a framework does otherwise, its entry says."""

    name = "numpy"
    out_of_memory: tuple[str, ...] = (
        "memoryerror",
        "cannot allocate memory",
        "std::bad_alloc",
    )  # in the class or text of an error

    @property
    def module(self) -> Any:
        return sys.modules[self.name]

    def seed(self, number: int) -> None:
        """Seed what dropout and the like are drawn from; nothing, where each draw is handed a generator or key."""

    def wait(self) -> None:
        """Wait until the device has done all it was given. Before it has been used, nothing is started for it."""

    def matrix(self, values: np.ndarray, half: bool, gpu: bool) -> Any:
        """Return float32 values on the device, `half`: in bf16; None where there is no such type."""
        return None if half else values

    def multiply(self, matrix: Any) -> None:
        """Compute the product of a matrix with itself, to its end."""
        _ = matrix @ matrix
        self.wait()

    def allocated_peak(self) -> int | None:
        """Return the most bytes that its allocator has given out on GPUs at a time, all of them together."""
        return None

    def watch(self) -> None:
        """Begin to keep `compilations`, where it tells of them."""

    def compilations(self) -> list[Compilation] | None:
        """Return them since `watch` was called; None: there are none, or it tells of none."""
        return None

    def told(self, function: str, seconds: float) -> None:
        """Keep among them what a recipe has compiled, or recorded, by itself."""

    def allow_tf32(self, allowed: bool) -> None:
        """Let products of float32 matrices be computed in TF32 on GPUs, or not."""

    def tf32(self) -> bool:
        """Tell whether they are."""
        return False


class Torch(Framework):
    name = "torch"
    out_of_memory = ("out of memory", "outofmemoryerror", "can't allocate memory", "_status_alloc_failed")

    def __init__(self):
        self.recorded: list[Compilation] = []  # as CUDA graphs

    def devices(self) -> list[int]:
        """Return the GPUs that this process has put anything on; to ask another would take memory there."""
        cuda = self.module.cuda
        return [n for n in range(cuda.device_count()) if cuda.max_memory_reserved(n)] if cuda.is_initialized() else []

    def seed(self, number: int) -> None:
        self.module.manual_seed(number)

    def wait(self) -> None:
        for device in self.devices():
            self.module.cuda.synchronize(device)

    def matrix(self, values: np.ndarray, half: bool, gpu: bool) -> Any:
        kind = self.module.bfloat16 if half else self.module.float32
        return self.module.from_numpy(values).to("cuda" if gpu else "cpu", kind)

    def allocated_peak(self) -> int | None:
        return sum(map(self.module.cuda.max_memory_allocated, self.devices())) or None

    def told(self, function: str, seconds: float) -> None:
        self.recorded.append(Compilation(function, seconds))

    def compilations(self) -> list[Compilation] | None:
        """Return what `torch.compile` compiled, forward and backward, and what was recorded as CUDA graphs."""
        dynamo = sys.modules.get("torch._dynamo.utils")
        compiled: dict[str, Compilation] = {}
        for one in dynamo.get_compilation_metrics() if dynamo else ():
            before = compiled.get(one.compile_id, Compilation(one.co_name, 0.0))
            compiled[one.compile_id] = before._replace(seconds=before.seconds + (one.duration_us or 0) / 1e6)
        return [*compiled.values(), *self.recorded] or None

    def allow_tf32(self, allowed: bool) -> None:
        self.module.set_float32_matmul_precision("high" if allowed else "highest")
        self.module.backends.cudnn.allow_tf32 = allowed

    def tf32(self) -> bool:
        products = self.module.backends.cuda.matmul
        if hasattr(products, "fp32_precision"):  # PyTorch 2.9 on; where a library has set that, the older key raises
            return products.fp32_precision == "tf32"
        return products.allow_tf32


class Jax(Framework):
    name = "jax"
    out_of_memory = ("resource_exhausted",)
    made: list[Compilation] | None = None

    def devices(self) -> list[Any]:
        """Return the devices, once there are any: from then on their number cannot be changed."""
        begun = self.module._src.xla_bridge.backends_are_initialized()  # the public functions would begin
        return self.module.local_devices() if begun else []

    def wait(self) -> None:
        jax = self.module
        if devices := self.devices():  # a device takes its turn: what nobody holds any more is waited for too
            jax.block_until_ready([jax.device_put(0.0, device) + 0 for device in devices])
            jax.block_until_ready(jax.live_arrays())

    def matrix(self, values: np.ndarray, half: bool, gpu: bool) -> Any:
        return self.module.numpy.asarray(values, self.module.numpy.bfloat16 if half else self.module.numpy.float32)

    def multiply(self, matrix: Any) -> None:
        self.module.block_until_ready(matrix @ matrix)

    def allocated_peak(self) -> int | None:
        told = [device.memory_stats() or {} for device in self.devices()]
        return sum(stats.get("peak_bytes_in_use", 0) for stats in told) or None

    def watch(self) -> None:
        if self.made is None:
            self.made = []
            self.module.monitoring.register_event_duration_secs_listener(self.note)

    def note(self, event: str, seconds: float, fun_name: str = "", **_: Any) -> None:
        """Keep what XLA compiled, or took from its cache."""
        if event == "/jax/core/compile/backend_compile_duration" and self.made is not None:
            self.made.append(Compilation(fun_name, seconds))

    def compilations(self) -> list[Compilation] | None:
        return self.made

    def allow_tf32(self, allowed: bool) -> None:
        self.module.config.update("jax_default_matmul_precision", "tensorfloat32" if allowed else "float32")

    def tf32(self) -> bool:  # its default is what the device does fastest
        return self.module.config.jax_default_matmul_precision not in ("float32", "highest", "F32_F32_F32")


TRACING = "tensorflow.python.eager.polymorphic_function"


class TensorFlow(Framework):
    name = "tensorflow"
    out_of_memory = ("resourceexhaustederror", "oom when allocating")
    traced: list[tuple[str, int]] | None = None  # each function, and what the clock of all tracing showed before it

    def begun(self) -> bool:
        """Tell whether its devices are settled: from then on their number cannot be changed."""
        context = sys.modules["tensorflow.python.eager.context"].context()
        return getattr(context, "_initialized", True)  # the public functions would begin

    def seed(self, number: int) -> None:
        self.module.random.set_seed(number)

    def wait(self) -> None:
        if self.begun():
            self.module.test.experimental.sync_devices()

    def matrix(self, values: np.ndarray, half: bool, gpu: bool) -> Any:
        return self.module.cast(values, self.module.bfloat16 if half else self.module.float32)

    def allocated_peak(self) -> int | None:
        config = self.module.config
        gpus = config.list_logical_devices("GPU") if self.begun() else []
        return sum(config.experimental.get_memory_info(gpu.name)["peak"] for gpu in gpus) or None

    def watch(self) -> None:
        if self.traced is None:
            self.traced = []
            sys.modules[f"{TRACING}.transform"].CONCRETE_FUNCTION_CALLBACKS.append(self.note)

    def note(self, function: Any) -> None:
        """Keep what `tf.function` is about to have traced."""
        if self.traced is not None:
            self.traced.append((function.graph.name, self.clock()))

    def clock(self) -> int:
        """Return the microseconds of all tracing that has ended; of functions in functions the outermost one's."""
        return sys.modules[f"{TRACING}.tracing_compilation"]._graph_building_time_counter.get_cell().value()

    def compilations(self) -> list[Compilation] | None:
        """Return the functions that were traced into graphs: what TensorFlow has in place of compiling."""
        if self.traced is None:
            return None
        told = pairwise([*self.traced, ("", self.clock())])
        return [Compilation(name, (then - before) / 1e6) for (name, before), (_, then) in told]

    def allow_tf32(self, allowed: bool) -> None:
        self.module.config.experimental.enable_tensor_float_32_execution(allowed)

    def tf32(self) -> bool:
        return self.module.config.experimental.tensor_float_32_execution_enabled()


class MXNet(Framework):
    name = "mxnet"
    out_of_memory = ("out of memory", "failed to allocate cpu memory")

    def seed(self, number: int) -> None:
        self.module.random.seed(number)

    def wait(self) -> None:
        self.module.nd.waitall()

    def matrix(self, values: np.ndarray, half: bool, gpu: bool) -> Any:
        return None if half else self.module.nd.array(values, self.module.gpu() if gpu else self.module.cpu())

    def multiply(self, matrix: Any) -> None:
        self.module.nd.dot(matrix, matrix).wait_to_read()


TABLE = [Torch(), Jax(), TensorFlow(), MXNet()]


def used() -> list[Framework]:
    """Return the frameworks that are in use."""
    if keras := sys.modules.get("keras"):  # which may import others beside its backend
        return [framework for framework in TABLE if framework.name == keras.config.backend()]
    return [framework for framework in TABLE if framework.name in sys.modules]


def main() -> Framework:
    """Return the framework that computes; numpy, where there is none."""
    return next(iter(used()), Framework())


def seed(number: int) -> None:
    """Seed what the frameworks draw from where they are handed nothing: the same draws come after the same number."""
    for framework in used():
        framework.seed(number)


def wait() -> None:
    """Wait for the devices: a framework that works on its own returns before its numbers are there."""
    for framework in used():
        framework.wait()


def watch() -> None:
    """Begin to keep what is compiled, where the framework tells of it."""
    main().watch()


def tell(function: str, seconds: float) -> None:
    """Keep what a recipe compiles or records by itself, for one shape: the framework does not see that."""
    main().told(function, seconds)


def compiled(since: int) -> dict[str, float] | None:
    """Return the seconds of all compilations but the first `since`, and of how many shapes the main one was.

    That is the function whose compilations took the longest together: the step of a training. None: nothing is told.
    """
    if (made := main().compilations()) is None:
        return None
    functions: dict[str, list[float]] = {}
    for function, seconds in made[since:]:
        functions.setdefault(function, []).append(seconds)
    return {"seconds": sum(map(sum, functions.values())), "shapes": len(max(functions.values(), key=sum, default=[]))}


def nvidia_tf32(allowed: bool) -> None:
    """Say the same to NVIDIA's libraries, before a framework loads them: 0 is above whatever that asks of them.

    "NVIDIA_TF32_OVERRIDE", in the manuals of cuBLAS and cuDNN. Kernels that a framework compiles itself take no notice.
    """
    os.environ.pop("NVIDIA_TF32_OVERRIDE", None)
    if not allowed:
        os.environ["NVIDIA_TF32_OVERRIDE"] = "0"


def allow_tf32(allowed: bool) -> None:
    """Have products of float32 matrices computed in TF32 on GPUs, or in float32, whatever a framework's default is."""
    for framework in used():
        framework.allow_tf32(allowed)


def matmul_precision(gpu: bool) -> str | None:
    """Return how products of float32 matrices are computed, as the framework says: fp32, tf32; None: there is none."""
    return next(("tf32" if gpu and framework.tf32() else "fp32" for framework in used()), None)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error, or one that it came of, says that there was no memory left."""
    words = {word for framework in (Framework(), *TABLE) for word in framework.out_of_memory}
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause and id(cause) not in seen:
        seen.add(id(cause))
        said = " ".join([*(kind.__name__ for kind in type(cause).__mro__), str(cause)]).lower()
        if any(word in said for word in words):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
