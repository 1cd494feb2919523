"""fairseq, its Trainer."""
