"""scikit-learn, the baseline."""
