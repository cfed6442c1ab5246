"""Invariants that need further runs: what must not change a number, and what must."""

from __future__ import annotations

from typing import Any

import torch

import lenswright as lw
from lenswright.selftest.run import Check, Run, error, worst

STEP = 1e-5
NEXT = 3
"""Tokens said one by one with a cache."""
WIDEST = 1024
"""Windows beyond this are not reached on purpose."""
_READ_ONLY = ("attn.hook_sink",)


def _last_changed(run: Run) -> torch.Tensor:
    other = run.tokens.clone()
    other[0, -1] = (other[0, -1] + 1) % run.model.cfg.d_vocab
    return other


def causality(run: Run) -> Check | None:
    """A token changes nothing at the positions before it."""
    if run.tokens.shape[1] < 2:
        return None
    points = [n for n in run.cache if n.endswith(("hook_resid_post", "unembed.hook_out"))]
    limit, how = run.bitwise()
    with torch.no_grad(), lw.deterministic(run.on_cpu):
        _, a = run.model.run_with_cache(run.tokens, points)
        _, b = run.model.run_with_cache(_last_changed(run), points)
    found = worst("causality", limit, {n: error(a[n][:, :-1], b[n][:, :-1]) for n in points})
    assert found is not None
    return Check(found.name, found.figure, limit, how if found.ok and how else found.where)


def _seen_from_afar(pattern: torch.Tensor, sight: dict[str, int]) -> float:
    """The largest weight of a key that a layer's window or chunk hides."""
    query = torch.arange(pattern.shape[2], device=pattern.device)[:, None]
    key = torch.arange(pattern.shape[3], device=pattern.device)
    hidden = torch.zeros_like(query - key, dtype=torch.bool)
    if sight["window"]:
        hidden |= key <= query - sight["window"]
    if sight["chunk"]:
        hidden |= key // sight["chunk"] < query // sight["chunk"]
    return float(pattern[..., hidden].abs().max()) if hidden.any() else -1.0


def window(run: Run) -> Check | None:
    """A key beyond a layer's window, or in an earlier chunk, has no weight."""
    local = [(i, own) for i, own in enumerate(run.spec["layers"]) if own["window"] or own["chunk"]]
    if not local:
        return None
    name = "keys beyond the window have no weight"
    figures = {
        f"blocks.{i}": _seen_from_afar(run.need(i, "attn.hook_pattern"), own) for i, own in local
    }
    figures = {where: figure for where, figure in figures.items() if figure >= 0}
    if figures:
        return worst(name, 0.0, figures)
    layer, own = local[0]
    length = max(own["window"], own["chunk"]) + 4
    if length > min(WIDEST, run.model.cfg.n_ctx):
        return None
    # Only the blocks up to that one are run.
    tokens = run.tokens.repeat(1, length // run.tokens.shape[1] + 1)[:, :length]
    point = f"blocks.{layer}.attn.hook_pattern"
    with torch.no_grad():
        pattern = run.model.capture(tokens, point)[point]
    return Check(name, _seen_from_afar(pattern, own), 0.0, f"blocks.{layer}, {length} tokens")


def watching(run: Run) -> Check | None:
    """Captures and hooks that change nothing leave the same logits."""
    writable = [name for name in run.cache if not name.endswith(_READ_ONLY)]
    limit, how = run.bitwise()

    def same(tensor: torch.Tensor, hook: Any) -> torch.Tensor:
        return tensor

    with torch.no_grad():
        quiet = run.model(run.tokens)
        touched = run.model.run_with_hooks(run.tokens, fwd_hooks=[(n, same) for n in writable])
    figures = {"captures": error(run.logits, quiet), "hooks": error(touched, quiet)}
    found = worst("watching changes nothing", limit, figures)
    assert found is not None
    return Check(found.name, found.figure, limit, how if found.ok and how else found.where)


def padding(run: Run) -> Check | None:
    """A row beside a longer one, filled up on the left, is as it is alone."""
    row = run.tokens[0].tolist()
    short = row[: max(1, len(row) // 2)]
    limit, how = run.bitwise()
    with torch.no_grad(), lw.deterministic(run.on_cpu):
        alone = run.model([short])
        both = run.model([row, short], padding_side="left")[1:, -len(short) :]
    figure = error(both, alone)
    return Check("left padding changes nothing", figure, limit, how if figure <= limit else "")


def cached(run: Run) -> Check | None:
    """Tokens said one by one with a cache have the logits of a whole run."""
    prompt = run.tokens[:, : max(1, min(run.tokens.shape[1], run.model.cfg.n_ctx - NEXT))]
    if prompt.shape[1] + NEXT > run.model.cfg.n_ctx:
        return None
    steps: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor, hook: Any) -> None:
        steps.append(tensor[:, -1].clone())

    with run.model.hooks(fwd_hooks=[("unembed.hook_out", keep)]):
        said = run.model.generate(
            prompt, max_new_tokens=NEXT, stop_at_eos=False, return_type="tokens"
        )
    whole = torch.cat([prompt, torch.tensor(said)[:, : NEXT - 1]], dim=1)
    with torch.no_grad():
        full = run.model.capture(whole, "unembed.hook_out")["unembed.hook_out"]
    full = full[0, prompt.shape[1] - 1 :]
    figure = error(torch.cat(steps)[: len(full)], full)
    return Check("a cached step = a whole run", figure, run.limit)


def gradient(run: Run) -> Check | None:
    """A gradient by hooks is the finite difference at three coordinates; float64 only."""
    if not run.exact or run.tokens.shape[1] < 2:
        return None
    point = f"blocks.{run.spec['n_layers'] // 2}.hook_resid_pre"
    _, cache = run.model.run_with_cache(run.tokens, point, incl_bwd=True, return_type="loss")
    grad = cache[f"{point}_grad"].flatten()
    size = float(run.cache[point].abs().mean())
    figures = {}
    for place in (0, grad.numel() // 3, grad.numel() // 2):

        def loss(by: float, place: int = place) -> float:
            def nudge(tensor: torch.Tensor, hook: Any) -> torch.Tensor:
                moved = tensor.clone()
                moved.view(-1)[place] += by * size
                return moved

            with torch.no_grad():
                hooks = [(point, nudge)]
                value = run.model.run_with_hooks(run.tokens, fwd_hooks=hooks, return_type="loss")
            return float(value)

        slope = (loss(STEP) - loss(-STEP)) / (2 * STEP * size)
        figures[f"{point}[{place}]"] = abs(slope - float(grad[place])) / float(grad.abs().max())
    return worst("gradient = finite difference", 1e-5, figures)
