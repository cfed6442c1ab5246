"""GPT-2: learned positions, biases, tied embeddings, and matrices that lie as [in, out]."""

from lenswright.demo.kinds.kind import CONTEXT, HEADS, LAYERS, WIDTH, Kind, Network, Shapes
from lenswright.demo.phases import PHASES, shorter

INNER = 192
UPPER = ("transformer.wte", "transformer.wpe", "transformer.h.3.", "transformer.ln_f")


def shapes(vocabulary: int) -> Shapes:
    """The tensors of GPT-2."""
    found: Shapes = {
        "transformer.wte.weight": (vocabulary, WIDTH),
        "transformer.wpe.weight": (CONTEXT, WIDTH),
    }

    def norm(name: str) -> Shapes:
        return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}

    def linear(name: str, inputs: int, outputs: int) -> Shapes:
        return {f"{name}.weight": (inputs, outputs), f"{name}.bias": (outputs,)}

    for layer in range(LAYERS):
        block = f"transformer.h.{layer}"
        found |= norm(f"{block}.ln_1")
        found |= linear(f"{block}.attn.c_attn", WIDTH, 3 * WIDTH)
        found |= linear(f"{block}.attn.c_proj", WIDTH, WIDTH)
        found |= norm(f"{block}.ln_2")
        found |= linear(f"{block}.mlp.c_fc", WIDTH, INNER)
        found |= linear(f"{block}.mlp.c_proj", INNER, WIDTH)
    return found | norm("transformer.ln_f")


GPT2 = Network(
    settings={
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_embd": WIDTH,
        "n_inner": INNER,
        "n_layer": LAYERS,
        "n_head": HEADS,
        "n_positions": CONTEXT,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
    },
    shapes=shapes,
    writers=("c_proj.weight",),
    scales={"transformer.wte.weight": 0.1, "transformer.wpe.weight": 0.02},
    inputs_first=("c_attn.weight", "c_proj.weight", "c_fc.weight"),
)

CONV1D = Kind(
    "conv1d",
    "the shipped model's language in a network like GPT-2",
    GPT2,
    phases=(PHASES[0], shorter(UPPER)[1]),  # lists take it as long as the shipped model
)
