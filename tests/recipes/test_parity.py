"""Every library computes the same: controlled runs against the plain reference, from real and from random weights.

That the same seed gives the same predictions to the bit, test_runs.py holds for each; test_tasks.py has the other
tasks, with XLM-R's vocabulary and RoBERTa's architecture.
"""

import pytest
from support import ROOT, THOROUGH, VARIANTS, CutOff, Forked, hold, others

from harness.use.parity import ROWS

PROGRAMS = ["compile=steps", "batches=packed"]
ON_JAX = [path.parent.name for path in sorted(ROOT.glob("recipes/*/recipe.py"))
          if "recipes.on_jax.steps" in path.read_text(encoding="utf-8")]  # fmt: skip


@pytest.mark.parametrize("words", VARIANTS)
@pytest.mark.parametrize("kind", [Forked, pytest.param(CutOff, marks=THOROUGH)])
def test_with_the_real_weights(kind, words, tmp_path, references):
    """In steps of two batches each: the reference knows nothing of accumulation."""
    halves = [f"train.batch_size={ROWS // 2}", "train.accumulate=2"]
    hold(kind(tmp_path, halves, references).lines(words.split(), repeated=False))


@pytest.mark.parametrize("recipe", ON_JAX)
def test_several_steps_in_one_program_of_packed_texts(recipe, tmp_path, references):
    """Killed after a checkpoint, it goes on between two programs; it computes the same all the while."""
    hold(CutOff(tmp_path, [], references).lines([f"recipe={recipe}", *PROGRAMS], repeated=False))


@pytest.mark.parametrize("recipe", ON_JAX)
def test_several_steps_in_one_program_of_packed_texts_whose_words_are_tagged(
    recipe, tmp_path, small_network, references, data_of
):
    words = ["model=path", f"model.path={small_network('bert')}", *data_of("tagging")]
    hold(Forked(tmp_path, words, references).lines([f"recipe={recipe}", *PROGRAMS], repeated=False))


@pytest.mark.parametrize("words", others(VARIANTS))
def test_of_roberta_s_architecture_with_the_first_token(words, small_network, tmp_path, references):
    """As the hub has CamemBERT: below a masked language model, in fp16; biases and LayerNorm that are not 0 and 1."""
    model = ["model=path", f"model.path={small_network('camembert')}", "model.pooling=cls"]
    hold(Forked(tmp_path, model, references).lines(words.split(), repeated=False))


@pytest.mark.parametrize("words", others(VARIANTS))
def test_with_xlm_r_s_vocabulary(words, small_network, tmp_path, references):
    """On BERT's architecture, as multilingual-e5-small has it: id 0 begins each text there, and padding is id 1."""
    model = ["model=path", f"model.path={small_network('e5')}"]
    hold(Forked(tmp_path, model, references).lines(words.split(), repeated=False))
