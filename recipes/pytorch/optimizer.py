"""Which parameters learn at which rate, and which of them decay."""

from collections.abc import Mapping

from recipes.pytorch.model import Classifier


def parameter_groups(model: Classifier, settings: Mapping) -> list[dict]:
    """Return AdamW's parameter groups: the head at its own rate; no decay on biases and LayerNorm."""
    groups = []
    for part, rate in ((model.encoder, settings["learning_rate"]), (model.head, settings["head_learning_rate"])):
        named = [(name, parameter) for name, parameter in part.named_parameters() if parameter.requires_grad]
        for decays in (True, False):
            chosen = [parameter for name, parameter in named if decayed(name) == decays]
            groups.append({"params": chosen, "lr": rate, "weight_decay": settings["weight_decay"] if decays else 0.0})
    return groups


def decayed(name: str) -> bool:
    """Tell whether weight decay applies to a parameter: not to biases and LayerNorm."""
    return not name.endswith("bias") and "norm" not in name.lower()
