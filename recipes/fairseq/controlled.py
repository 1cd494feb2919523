"""What `protocol=controlled` changes of the recipe."""

from recipes.fairseq.recipe import finetune, hidden_states, load

__all__ = ["finetune", "hidden_states", "load"]
