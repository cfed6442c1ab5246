"""The network of the shipped model, a small Llama with an unembedding of its own."""

from __future__ import annotations

from collections.abc import Callable

from lenswright.demo.kinds.kind import CONTEXT, HEADS, INNER, LAYERS, WIDTH, Network, Shapes

SETTINGS: dict[str, object] = {
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS,
    "head_dim": WIDTH // HEADS,
    "hidden_act": "silu",
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
}

NORMS = ("input_layernorm", "post_attention_layernorm")


def dense(block: str) -> Shapes:
    """The gated MLP of a layer."""
    return {
        f"{block}.mlp.gate_proj.weight": (INNER, WIDTH),
        f"{block}.mlp.up_proj.weight": (INNER, WIDTH),
        f"{block}.mlp.down_proj.weight": (WIDTH, INNER),
    }


def shapes(
    mlp: Callable[[str], Shapes] = dense, norms: tuple[str, ...] = NORMS, tied: bool = False
) -> Callable[[int], Shapes]:
    """The tensors of a network like Llama, given its MLPs and the norms of a layer."""

    def of(vocabulary: int) -> Shapes:
        found: Shapes = {"model.embed_tokens.weight": (vocabulary, WIDTH)}
        for layer in range(LAYERS):
            block = f"model.layers.{layer}"
            for part in "qkvo":
                found[f"{block}.self_attn.{part}_proj.weight"] = (WIDTH, WIDTH)
            found |= mlp(block)
            found |= {f"{block}.{norm}.weight": (WIDTH,) for norm in norms}
        found["model.norm.weight"] = (WIDTH,)
        return found if tied else found | {"lm_head.weight": (vocabulary, WIDTH)}

    return of


LLAMA = Network(
    settings={"architectures": ["LlamaForCausalLM"], "model_type": "llama", **SETTINGS},
    shapes=shapes(),
    writers=("o_proj.weight", "down_proj.weight"),
    scales={"model.embed_tokens.weight": 0.1, "lm_head.weight": 0.02},
)
