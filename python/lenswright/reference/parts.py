"""What a family's row of the oracle says: where `transformers` keeps the parts of a decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenswright.reference.packing import Packing, consecutive

if TYPE_CHECKING:
    from lenswright.reference.latent import Latent
    from lenswright.reference.mixtures import Mixture


@dataclass(frozen=True)
class Parts:
    """Module paths and the few facts that paths do not tell; the defaults are Llama's.

    Paths start at `base`, those of a block at the block, those of attention at `attention`. A path
    that a block lacks gives no point there, so layers may differ. None: there is no such part.
    """

    auto: str = "AutoModelForCausalLM"
    base: str = "model"
    layers: str = "layers"
    embed: str = "embed_tokens"  # read only where positions are added to it
    embed_norm: str | None = None
    positions: str | None = None  # learned or sinusoidal, added to the embedding
    final_norm: str | None = "norm"

    ln1: str | None = "input_layernorm"
    ln1_post: str | None = None  # norm of what attention puts out
    ln2: str | None = "post_attention_layernorm"
    ln2_post: str | None = None
    behind: bool = False  # ln1 and ln2 normalise the residual after the addition
    parallel: bool = False  # attention and MLP read the same residual
    residual: float = 1.0  # what a branch is multiplied with before it is added

    attention: str = "self_attn"
    qkv: tuple[str, ...] = ("q_proj", "k_proj", "v_proj")  # one path: a fused projection
    packing: Packing = consecutive  # how a fused projection is cut
    clip: float | None = None  # bound of queries, keys and values
    clip_normed: bool = False  # the bound is for what q_norm and k_norm put out, and for values
    q_norm: str | None = None
    k_norm: str | None = None
    heads_first: bool = False  # q_norm and k_norm see [batch, heads, pos, d_head]
    norm_after_rotation: bool = False
    rotary: bool | tuple[bool, ...] = True  # a tuple: by layer
    sinks: bool = False  # the softmax has one more entry, last
    kv_heads: int | None = None  # where the config does not say num_key_value_heads
    out: str = "o_proj"
    latent: Latent | None = None

    mlp: str = "mlp"
    gate: str | None = "mlp.gate_proj"
    up: str = "mlp.up_proj"
    gate_up: str | None = None  # fused: gate first
    down: str = "mlp.down_proj"
    mixture: Mixture | None = None

    prepare: Callable[[Any], None] | None = None  # tables to make again in float64
    mend: Callable[[Any], None] | None = None  # where attention as watched strays from the usual

    def rotates(self, layer: int) -> bool:
        """Whether a layer rotates its queries and keys."""
        return self.rotary if isinstance(self.rotary, bool) else self.rotary[layer]


Row = Parts | Callable[[Any], Parts]
"""A family: the same parts for all its models, or a function of the text model's config."""
