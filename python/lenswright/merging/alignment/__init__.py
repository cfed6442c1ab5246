"""Models whose units lie in another order: the order that fits another model best."""
