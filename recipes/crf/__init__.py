"""CRFsuite, the baseline of tagging."""
