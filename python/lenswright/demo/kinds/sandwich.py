"""Gemma 2: tied embeddings, gains of 1 + w, norms between what blocks write and the residual."""

from lenswright.demo.kinds.kind import CONTEXT, HEADS, WIDTH, Kind, Network
from lenswright.demo.kinds.llama import NORMS, SETTINGS, shapes

AROUND = (*NORMS, "pre_feedforward_layernorm", "post_feedforward_layernorm")

GEMMA2 = Network(
    settings={
        "architectures": ["Gemma2ForCausalLM"],
        "model_type": "gemma2",
        **{key: value for key, value in SETTINGS.items() if key not in ("mlp_bias", "hidden_act")},
        "tie_word_embeddings": True,
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": WIDTH // HEADS,
        "sliding_window": CONTEXT,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
    },
    shapes=shapes(norms=AROUND, tied=True),
    writers=("o_proj.weight", "down_proj.weight"),
    scales={"model.embed_tokens.weight": 0.02},  # read as sqrt(WIDTH) times as much
    gain=0.0,
)

SANDWICH = Kind("sandwich", "the shipped model's language in a network like Gemma 2", GEMMA2)
