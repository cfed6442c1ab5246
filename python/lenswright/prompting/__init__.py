"""Prompts: from files, of two classes, in splits that cannot be mixed."""
