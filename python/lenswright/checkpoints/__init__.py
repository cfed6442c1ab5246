"""Checkpoints and the other files Lenswright reads and writes."""
