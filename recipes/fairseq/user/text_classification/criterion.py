"""What fairseq's criterion for sentences has no loss for: labels of which any may hold, and tags of tokens."""

import torch
from fairseq.criterions import register_criterion
from fairseq.criterions.sentence_prediction import SentencePredictionConfig, SentencePredictionCriterion
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from recipes.contract.tasks import IGNORED


class Prediction(SentencePredictionCriterion):
    """A loss that is a sum over the elements of the target; the Trainer divides by how many an update has."""

    def forward(self, model, sample, reduce=True):
        logits, _ = model(**sample["net_input"], classification_head_name=self.classification_head_name)
        target = sample["target"]
        loss, size = self.summed(logits.float(), target), int((target != IGNORED).sum())
        log = {"loss": loss.data, "ntokens": sample["ntokens"], "nsentences": len(target), "sample_size": size}
        return loss, size, log


@register_criterion("multilabel_prediction", dataclass=SentencePredictionConfig)
class MultilabelPrediction(Prediction):
    def summed(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return binary_cross_entropy_with_logits(logits, target.float(), reduction="sum")


@register_criterion("token_prediction", dataclass=SentencePredictionConfig)
class TokenPrediction(Prediction):
    def summed(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="sum")
