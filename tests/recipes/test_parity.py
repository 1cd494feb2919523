"""Every library computes the same: controlled runs against the plain reference, from real and from random weights.

That the same seed gives the same predictions to the bit, test_runs.py holds for each.
"""

import pytest
from support import VARIANTS, hold

from harness.parity import ROWS, Comparison


@pytest.mark.parametrize("words", VARIANTS)
def test_with_the_real_weights(words, tmp_path, references):
    hold(Comparison(tmp_path, references=references).lines(words.split(), repeated=False))


@pytest.mark.parametrize("words", VARIANTS)
def test_of_roberta_s_architecture_with_the_first_token(words, small_network, tmp_path, references):
    """As the hub has CamemBERT: below a masked language model, in fp16; biases and LayerNorm that are not 0 and 1.

    In steps of the same size as above, of two batches each: the reference knows nothing of accumulation.
    """
    model = ["model=path", f"model.path={small_network('camembert')}", "model.pooling=cls"]
    model += [f"train.batch_size={ROWS // 2}", "train.accumulate=2"]
    hold(Comparison(tmp_path, model, references).lines(words.split(), repeated=False))
