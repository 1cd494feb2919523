"""torchvision's networks for a job: built, given weights, saved as safetensors, loaded, and asked to predict."""

import json
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision import models

from recipes.contract.job import Batch, Job, Predict
from recipes.contract.split import InTwo
from recipes.pytorch.precision import HALF
from recipes.torchvision.data import page_of, picture_of, predicted_on

OWN = ("architecture", "height", "width", "channels", "font_size", "font", "grid", "first_stride")  # what a model is
SHOWN = 5  # names of weights listed in an error


def build(job: Job) -> nn.Module:
    """Return the network that the settings name, with a head for the job's labels, on the processors."""
    settings = job.settings
    weights = found_weights(settings["architecture"], settings["weights"])
    model = network(settings, job.outputs, weights)
    for part in model.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and settings["norm_momentum"] is not None:
            part.momentum = settings["norm_momentum"]
        if isinstance(part, nn.Dropout) and settings["dropout"] is not None:
            part.p = settings["dropout"]
    job.event("model", parameters=sum(parameter.numel() for parameter in model.parameters()))
    return model


def network(settings: Mapping[str, Any], outputs: int, weights: Mapping[str, torch.Tensor] | None = None) -> nn.Module:
    """Return torchvision's network of a name, made for pages of a size, with random weights or those given."""
    name, height, width = settings["architecture"], settings["height"], settings["width"]
    options = {}
    if name.startswith("vit_"):
        patch = int(name.rpartition("_")[2])
        if height != width or height % patch:
            raise ValueError(
                f"recipe.architecture={name} takes squares in patches of {patch} pixels: recipe.height={height} and "
                f"recipe.width={width} are to be one multiple of {patch}, such as {max(1, width // patch) * patch}"
            )
        options["image_size"] = height
    model = models.get_model(name, weights=None, num_classes=outputs, **options)
    key, first = next((key, part) for key, part in model.named_modules() if isinstance(part, nn.Conv2d))
    grey = weights is not None and weights.get(f"{key}.weight", first.weight).shape[1] == 1  # of such a network
    if settings["channels"] == 1 and grey:
        turn_grey(first)
    if weights is not None:
        take(model, weights, name)
    if settings["channels"] == 1 and not grey:
        turn_grey(first)
    if settings["first_stride"] and first.stride != first.kernel_size:  # a network of patches keeps these
        first.stride = tuple(settings["first_stride"])
    return model.to(memory_format=torch.channels_last)


def turn_grey(layer: nn.Conv2d) -> None:
    """Make a layer for colours one for grey, which is each of three colours alike: the sum does what three did."""
    layer.weight = nn.Parameter(layer.weight.detach().sum(1, keepdim=True))
    layer.in_channels = 1


def found_weights(name: str, chosen: str | None) -> Mapping[str, torch.Tensor] | None:
    """Return the weights of a network: none, `download`: torchvision's own, or those in a file, which runs no code."""
    if chosen is None:
        return None
    if chosen == "download":
        try:
            return models.get_model_weights(name).DEFAULT.get_state_dict(progress=False, check_hash=True)
        except OSError as error:
            raise ConnectionError(
                f"torchvision's weights of {name} cannot be downloaded here ({error}): recipe.weights=FILE of one's "
                "own, or null for none"
            ) from None
    try:
        if chosen.endswith(".safetensors"):
            return load_file(chosen)
        loaded = torch.load(chosen, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise ValueError(
            f"recipe.weights={chosen} holds no weights that can be read ({type(error).__name__}): give what "
            "torch.save or safetensors wrote of a state_dict"
        ) from None
    for key in ("model", "state_dict"):  # how torchvision's references, and others, write a checkpoint
        loaded = loaded.get(key, loaded) if isinstance(loaded, dict) else loaded
    if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise ValueError(f"recipe.weights={chosen} holds no weights: a table of tensors by name is needed")
    return {key.removeprefix("module."): value for key, value in loaded.items()}


def take(model: nn.Module, weights: Mapping[str, torch.Tensor], name: str) -> None:
    """Put weights into a network; its head stays new. ValueError says which of the others do not fit."""
    own = model.state_dict()
    head = [key for key in own if key.rpartition(".")[0] == last_layer(model)]
    wrong = [key for key in own if key not in head and key not in weights]
    wrong += [key for key in weights if key not in own]
    wrong += [key for key in own if key not in head and key in weights and own[key].shape != weights[key].shape]
    if wrong:
        shown = ", ".join(wrong[:SHOWN]) + (f", … ({len(wrong)} in all)" if len(wrong) > SHOWN else "")
        raise ValueError(
            f"recipe.weights are not of recipe.architecture={name}: missing, unknown or of another shape: {shown}"
        )
    model.load_state_dict({key: own[key] if key in head else weights[key] for key in own})


def last_layer(model: nn.Module) -> str:
    """Return the name of the layer that gives the logits."""
    layers = [name for name, part in model.named_modules() if isinstance(part, (nn.Linear, nn.Conv2d))]
    return layers[-1]


def save(model: nn.Module, job: Job) -> None:
    """Write model.safetensors, and config.json with what it takes to load it and to make its pictures."""
    job.model.mkdir()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, job.model / "model.safetensors")
    config = {key: job.settings[key] for key in OWN}
    if config["font"]:
        config["font"] = f"font{Path(config['font']).suffix}"
        shutil.copyfile(job.settings["font"], job.model / config["font"])
    text = json.dumps({**config, "labels": job.labels}, indent=1, ensure_ascii=False)
    (job.model / "config.json").write_text(text + "\n", encoding="utf-8")


def load(job: Job) -> Predict:
    """Return the function that predicts, from the saved model alone."""
    model, config = saved(job)
    return predictor(model.to("cuda" if torch.cuda.is_available() else "cpu"), config, job)


def saved(job: Job) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network that a run has left, on the processors, and what it was saved with."""
    config = config_of(job)
    model = network(config, len(config["labels"]))
    model.load_state_dict(load_file(job.model / "model.safetensors"))
    return model, config


def config_of(job: Job) -> dict[str, Any]:
    """Return what a network was saved with: its settings, its labels, and the font beside it, if it has one."""
    config = json.loads((job.model / "config.json").read_text(encoding="utf-8"))
    font = config["font"] and str(job.model / Path(config["font"]).name)
    return {**config, "font": font}


def predictor(model: nn.Module, settings: Mapping[str, Any], job: Job) -> Predict:
    """Return the function that predicts with `model` where it is: it makes the pictures, then looks at them."""
    model.eval()
    device = next(model.parameters()).device
    page, transform = page_of(settings), predicted_on(settings["channels"])

    def prepare(batch: Batch) -> torch.Tensor:
        pictures = torch.stack([picture_of(page, batch, place) for place in range(len(batch))])
        return transform(pictures).contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def compute(images: torch.Tensor):
        with torch.autocast(device.type, HALF.get(job.precision), enabled=job.precision in HALF):
            return model(images.to(device)).float().cpu().numpy()

    return InTwo(prepare, compute)
