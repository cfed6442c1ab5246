"""Live `transformers` models in and out: weights are shared, nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core

if TYPE_CHECKING:
    from lenswright.model import Model


def from_transformers(
    hf_model: Any, tokenizer: Any = None, dtype: str | torch.dtype = "auto"
) -> Model:
    """A model that shares the weights of a live `transformers` model, which stays as it is.

    Args:
        hf_model: a `transformers` causal language model (or a multimodal one: its text part).
        tokenizer: its tokenizer (`transformers` or a folder), for text; None: tokens only.
        dtype: type of the computation; "auto" as in `lenswright.load`.

    An edit that is applied puts tensors of its own here and leaves hf_model untouched; what is
    changed in hf_model's tensors in place is seen here.

    Raises:
        ValueError: unknown family, a config key that asks for other arithmetic, weights that are
            quantised in another way than fp8 or MXFP4.

    Example:
        >>> hf = transformers.AutoModelForCausalLM.from_pretrained("gpt2")
        >>> model = lw.from_transformers(hf, transformers.AutoTokenizer.from_pretrained("gpt2"))
    """
    from lenswright.model import Model

    tensors = hf_model.state_dict()
    places = {str(t.device) for t in tensors.values()}
    if len(places) != 1:
        raise ValueError(f"hf_model lies on {', '.join(sorted(places))}; expected one device")
    config = hf_model.config.to_dict() | {"architectures": [type(hf_model).__name__]}
    core = _core.Model.share(
        json.dumps(config, default=str), tensors, device=places.pop(),
        dtype=str(dtype).removeprefix("torch."),
    )  # fmt: skip
    model = Model(core, Path(getattr(hf_model.config, "_name_or_path", "") or "live"))
    model.live = hf_model
    if tokenizer is not None:
        model.use_tokenizer(tokenizer)
    return model


def to_transformers(model: Model) -> Any:
    """The model as `transformers` has it, with edits that are applied, sharing what can be shared.

    Tensors that lie the same way in both are one tensor; those `transformers` keeps otherwise in
    memory (experts in one tensor, say) are copies.

    Raises:
        ImportError: transformers is not installed.
        ValueError: the weights are quantised.
    """
    if quantised := model.core.quantised():
        form = next(iter(quantised.values()))[0]
        raise ValueError(
            f"the model's weights are {form}, which cannot be shared; expected a folder that "
            "edit.commit wrote, where they are bfloat16"
        )

    import transformers

    from lenswright.checkpoints.checkpoint import Checkpoint

    stored = model.parameters()
    if model.live is not None:
        kind, config, everything = type(model.live), model.live.config, model.live.state_dict()
    else:
        config = transformers.AutoConfig.from_pretrained(str(model.folder))
        kind = getattr(transformers, config.architectures[0])
        checkpoint = Checkpoint(model.folder)
        everything = {name: checkpoint[name] for name in checkpoint}  # other towers too
    dtype = next(iter(stored.values())).dtype
    found = kind.from_pretrained(None, config=config, state_dict=everything | stored, dtype=dtype)
    with torch.no_grad():
        for name, parameter in found.named_parameters():
            own = stored.get(name)
            if own is not None and own.shape == parameter.shape and own.dtype == parameter.dtype:
                parameter.data = own.detach()
    return found.eval()
