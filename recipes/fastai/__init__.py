"""fastai, the Learner."""
