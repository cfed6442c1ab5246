"""Statistics of activations over many prompts."""
