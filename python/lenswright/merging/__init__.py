"""Merges of checkpoints: recipes, vocabularies, task vectors."""
