"""Edits of weights: how each is made, told, tried and saved; `lenswright.edits` is their face."""
