"""The types that Hydra and OmegaConf hold the configuration to: those of Settings, with values that may be set."""

import warnings
from dataclasses import MISSING as NOTHING
from dataclasses import field, fields, is_dataclass, make_dataclass
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from harness.config.settings import Settings


def composed(kind: type) -> type:
    """Return a class with the keys of a frozen one, for OmegaConf, which lets nobody set those of that.

    Where people type what is none of ours yet (`checkpoint.every=10min`), a field says what they may.
    """
    hints, keys = get_type_hints(kind), list[tuple[str, Any, Any]]()
    for one in fields(kind):
        its = one.metadata.get("composed") or hints[one.name]
        if its is dict:  # a group of which nothing need be chosen
            keys.append((one.name, Any, field(default_factory=dict)))
        elif is_dataclass(its):
            section = composed(its)  # type: ignore[arg-type]
            keys.append((one.name, section, field(default_factory=section)))
        else:
            keys.append((one.name, its, field(default=MISSING if one.default is NOTHING else one.default)))
    return make_dataclass(kind.__name__, keys)


ConfigStore.instance().store("base", composed(Settings))
# conf/hydra/launcher/ has our defaults of a plugin's choices; that the plugin's own types hold for them is wanted
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")
