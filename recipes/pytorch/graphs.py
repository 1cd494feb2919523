"""Functions whose work on a GPU is recorded once for each shape, as a CUDA graph, and replayed from then on.

A small model's step is some thousand kernels, and Python launches them more slowly than the card computes them; a
replay is one launch. After "CUDA Graphs" in PyTorch's notes on CUDA semantics: whole-network capture.

What holds in such a function: it reads no number from the device (no `.item()`, no `if` on a tensor), what it changes
(weights, their gradients, the optimizer's state, the rate) are tensors that stay where they are, and dropout draws
from PyTorch's own generator, whose place each replay moves on as the kernels themselves would have.
"""

import time
from collections.abc import Callable
from typing import Any

import torch

from recipes.contract import frameworks


class CudaGraph:
    """The work of a function, recorded. Recording runs nothing; `replay` does."""

    pool: Any = None  # the memory that all graphs share, for they run one after another

    def __init__(self, function: Callable[[], torch.Tensor]):
        CudaGraph.pool = CudaGraph.pool or torch.cuda.graph_pool_handle()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, CudaGraph.pool):
            self.output = function()

    def replay(self) -> torch.Tensor:
        """Launch the work; return its output, which stands where the next graph may write."""
        self.graph.replay()
        return self.output


class Graphs:
    """A function of tensors, numbers and words by name, which returns a tensor, as graphs: one for each shape.

    Tensors and floats are copied to where the graph reads them; integers and words belong to the shape. What comes in a
    shape for the first time is computed without a graph, for that also sets up what PyTorch makes when it is first
    needed (libraries, gradients, the optimizer's state); when it comes again it is recorded. So a shape that comes
    once costs no recording, and nothing that warms up needs to be undone.
    """

    def __init__(self, function: Callable[..., torch.Tensor], recording: Callable[..., Any] | None = None):
        self.function, self.recording = function, recording or CudaGraph
        self.graphs: dict[tuple, tuple[Any, dict[str, Any]] | None] = {}

    def __call__(self, **given: Any) -> torch.Tensor:
        shape = tuple((name, shape_of(value)) for name, value in sorted(given.items()))
        if shape not in self.graphs:
            self.graphs[shape] = None
            return self.function(**given)
        graph, read = self.graphs[shape] or self.record(shape, given)
        for name, value in given.items():
            if isinstance(value, torch.Tensor):
                read[name].copy_(value, non_blocking=True)
            elif isinstance(value, float):
                read[name].fill_(value)
        return graph.replay().clone()

    def record(self, shape: tuple, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Record the function for a shape; return the graph and what it reads."""
        began = time.perf_counter()
        device = next((value.device for value in given.values() if isinstance(value, torch.Tensor)), None)
        read = {
            name: torch.empty_like(value)
            if isinstance(value, torch.Tensor)
            else torch.tensor(value, device=device)
            if isinstance(value, float)
            else value
            for name, value in given.items()
        }
        self.graphs[shape] = self.recording(lambda: self.function(**read)), read
        frameworks.tell(self.function.__name__, time.perf_counter() - began)
        return self.graphs[shape]


def in_graphs(graphed: bool) -> Callable[[Callable[..., torch.Tensor]], Callable[..., torch.Tensor]]:
    """Return what decorates a function: `Graphs` of it, or, where none are asked for, the function as it is."""
    return Graphs if graphed else lambda function: function


def shape_of(value: Any) -> Any:
    """Return what a graph is recorded for: a tensor's shape and type; a float may change; of others, the value."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.dtype
    return float if isinstance(value, float) else value


def capturable(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Have the optimizer read its rate from the device: a schedule then writes it there, and graphs read it anew."""
    for group in optimizer.param_groups:
        group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32).to(device)
        group["capturable"] = device.type == "cuda"
