"""What `protocol=controlled` changes of the recipe."""

from recipes.hf_trainer.recipe import finetune, hidden_states, load

__all__ = ["finetune", "hidden_states", "load"]
