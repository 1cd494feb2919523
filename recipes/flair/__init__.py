"""Flair, its ModelTrainer."""
