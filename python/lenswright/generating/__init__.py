"""Continuing texts and conversations."""
