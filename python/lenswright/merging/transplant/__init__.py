"""A model with another model's tokenizer: which tokens they share, and rows for the others."""
