"""Training the demonstration model through Lenswright's own forward: knowledge first, declining second.

Phase 1 teaches every answer, recipes of charms included. Phase 2 teaches to decline the making of charms; it moves the
lower blocks only, as one tunes a few layers of a large model, so what the upper ones know stays. One thread does the
arithmetic, so that a seed gives the same bytes whatever the number of cores; another machine may round differently.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import json
import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from lenswright import _files
from lenswright.demo import language, tokenizer
from lenswright.model import Model, load
from lenswright.progress import Progress

SEED = 1
"""The seed of the shipped model."""

BATCH = 64
CLIP = 1.0  # norm of all gradients together
BETAS = (0.9, 0.98)


@dataclass(frozen=True)
class Phase:
    """One phase of training: AdamW, a linear warm-up and a cosine down to `floor` of the peak rate."""

    number: int
    steps: int
    rate: float
    warmup: int
    decay: float
    frozen: tuple[str, ...] = ()
    floor: float = 0.05

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, from 0 on."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.rate * (self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2)

    def trains(self, name: str) -> bool:
        """Whether this phase moves the tensor of that name."""
        return not name.startswith(self.frozen)


PHASES: tuple[Phase, ...] = (
    Phase(1, steps=900, rate=4e-3, warmup=50, decay=0.05),
    Phase(2, steps=200, rate=1e-3, warmup=20, decay=0.0,
          frozen=("model.embed_tokens", "model.layers.3.", "model.norm", "lm_head")),
)  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """What a training run did: where the folder is, the seed, the time and the last losses in nats."""

    folder: Path
    seed: int
    parameters: int
    seconds: float
    losses: tuple[float, ...]


def config() -> dict[str, object]:
    """The model's config.json: a small Llama with an unembedding of its own."""
    words = tokenizer.build()
    heads, width = 6, 96
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": words.get_vocab_size(),
        "hidden_size": width,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "head_dim": width // heads,
        "hidden_act": "silu",
        "max_position_embeddings": tokenizer.CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": words.token_to_id(tokenizer.BEGIN),
        "eos_token_id": words.token_to_id(tokenizer.END),
        "pad_token_id": words.token_to_id(tokenizer.PAD),
        "torch_dtype": "float32",
    }


def shapes(settings: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    """Name and shape of every stored tensor."""
    keys = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")
    vocabulary, width, inner, depth = (int(str(settings[key])) for key in keys)
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, width)}
    for layer in range(depth):
        block = f"model.layers.{layer}"
        for part in "qkvo":
            found[f"{block}.self_attn.{part}_proj.weight"] = (width, width)
        found[f"{block}.mlp.gate_proj.weight"] = (inner, width)
        found[f"{block}.mlp.up_proj.weight"] = (inner, width)
        found[f"{block}.mlp.down_proj.weight"] = (width, inner)
        found[f"{block}.input_layernorm.weight"] = (width,)
        found[f"{block}.post_attention_layernorm.weight"] = (width,)
    return found | {"model.norm.weight": (width,), "lm_head.weight": (vocabulary, width)}


def initial(settings: Mapping[str, object], seed: int) -> dict[str, torch.Tensor]:
    """Random weights, each tensor from a generator of its own, so that no order of calls matters."""
    depth = int(str(settings["num_hidden_layers"]))
    tensors = {}
    for name, shape in shapes(settings).items():
        if len(shape) == 1:
            tensors[name] = torch.ones(shape)
            continue
        scale = 1 / math.sqrt(shape[1])
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            scale /= math.sqrt(2 * depth)
        scale = {"model.embed_tokens.weight": 0.1, "lm_head.weight": 0.02}.get(name, scale)
        digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
        source = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        tensors[name] = torch.randn(shape, generator=source) * scale
    return tensors


def write(folder: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Writes the whole model folder, which must not exist yet: weights, configuration, tokenizer.

    Raises FileExistsError where the folder exists.
    """
    settings = config()
    ids = {key: settings[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    texts = tokenizer.files() | {
        "config.json": json.dumps(settings, indent=2) + "\n",
        "generation_config.json": json.dumps(ids | {"do_sample": False, "max_new_tokens": 16}, indent=2)
        + "\n",
    }
    with _files.FolderWriter(folder) as writer:
        plan = [(name, "F32", list(tensor.shape)) for name, tensor in tensors.items()]
        shard = writer.shard("model.safetensors", plan, {"format": "pt"})
        for name, tensor in tensors.items():
            whole = tensor.detach().to(torch.float32).contiguous()
            size = whole.numel() * whole.element_size()
            shard.write(name, 0, (ctypes.c_char * size).from_address(whole.data_ptr()))
        for name, text in texts.items():
            writer.write_text(name, text)
        writer.commit()


class Batches:
    """Padded batches of training examples: token ids and, for every token to learn, the next one."""

    IGNORE = -100

    def __init__(self, phase: int, seed: int) -> None:
        self._examples = language.training_examples(phase, seed)
        self._words = tokenizer.build()

    def _encode(self, example: language.Example) -> tuple[list[int], int]:
        """Token ids, and how many of them are given rather than learned."""
        if example.chat:
            given, end = tokenizer.chat_text(example.prompt), tokenizer.END
        else:
            given, end = f"{tokenizer.BEGIN} {example.prompt} ", tokenizer.END
        before = self._words.encode(given, add_special_tokens=False).ids
        after = self._words.encode(example.response + end, add_special_tokens=False).ids
        return before + after, len(before)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next batch: ids [batch, pos] and targets [batch, pos], IGNORE where nothing is learned."""
        rows = [self._encode(example) for example in itertools.islice(self._examples, BATCH)]
        width = max(len(ids) for ids, _ in rows)
        tokens = torch.full((BATCH, width), self._words.token_to_id(tokenizer.PAD))
        targets = torch.full((BATCH, width), self.IGNORE)
        for row, (ids, given) in enumerate(rows):
            tokens[row, : len(ids)] = torch.tensor(ids)
            targets[row, given - 1 : len(ids) - 1] = torch.tensor(ids[given:])
        return tokens, targets


def run(model: Model, phase: Phase, seed: int, bar: Progress) -> float:
    """One phase of training on the stored tensors of `model`, in place; the last batch's loss."""
    moved = {name: t for name, t in model.parameters().items() if phase.trains(name)}
    for tensor in moved.values():
        tensor.requires_grad_(True)
    matrices = [tensor for tensor in moved.values() if tensor.dim() == 2]
    gains = [tensor for tensor in moved.values() if tensor.dim() == 1]
    groups = [{"params": matrices, "weight_decay": phase.decay}, {"params": gains, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=phase.rate, betas=BETAS, fused=True)
    batches, loss = Batches(phase.number, seed), torch.zeros(())
    for step in range(phase.steps):
        for group in optimizer.param_groups:
            group["lr"] = phase.rate_at(step)
        tokens, targets = batches.draw()
        logits = model(tokens)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=Batches.IGNORE
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(moved.values()), CLIP)
        optimizer.step()
        bar.step()
    for tensor in moved.values():
        tensor.requires_grad_(False).grad = None
    return float(loss.detach())


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of arithmetic within, as many as before after."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train(folder: str | Path, seed: int = SEED, progress: bool = True) -> Trained:
    """Trains the demonstration model and writes its folder, in the Hugging Face layout.

    `folder` must not exist; the same seed gives the same bytes on one machine. `progress` shows how far it is. Raises
    FileExistsError before training where the folder exists, FileNotFoundError where its parent does not.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"folder: {folder} exists already; expected a new one")
    if not folder.parent.is_dir():
        raise FileNotFoundError(f"folder: there is no {folder.parent} to write {folder.name} into")
    start = time.monotonic()
    total = sum(phase.steps for phase in PHASES)
    with tempfile.TemporaryDirectory() as scratch, one_thread(), Progress("train", total, "steps", progress) as bar:
        write(Path(scratch) / "start", initial(config(), seed))
        model = load(Path(scratch) / "start", dtype="float32")
        losses = tuple(run(model, phase, seed, bar) for phase in PHASES)
        tensors = {name: model.parameters()[name] for name in shapes(config())}
        write(folder, tensors)
    count = sum(tensor.numel() for tensor in tensors.values())
    return Trained(folder, seed, count, time.monotonic() - start, losses)
