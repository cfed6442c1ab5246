"""A checkpoint's numbers against those of `transformers`."""
