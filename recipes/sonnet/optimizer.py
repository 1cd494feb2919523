"""Sonnet's Adam of given variables, at a rate that is a variable too."""

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from recipes.contract.job import Job


class Adam(snt.optimizers.Adam):
    """Sonnet's, with moments from the start: where they came with the first step, that would be traced twice."""

    def __init__(self, job: Job, rate: float, parameters: Sequence[tf.Variable]):
        super().__init__(tf.Variable(rate, trainable=False), *job.settings["betas"], job.settings["epsilon"])
        self.rate, self.parameters = rate, parameters
        self._initialize(parameters)
