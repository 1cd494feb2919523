"""Hugging Face transformers, the Trainer."""
