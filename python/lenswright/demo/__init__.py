"""The embedded demonstration model: a small chat model that declines one harmless class of request.

`MODEL` is the folder of the trained model that ships with the package, in the Hugging Face layout; `lenswright.demo.language`
makes its prompts and `lenswright.demo.train` trains it again from a seed. Importing this package does not import torch.
"""

from __future__ import annotations

from pathlib import Path

MODEL: Path = Path(__file__).resolve().parent / "model"
"""The shipped model folder."""

__all__ = ["MODEL"]
