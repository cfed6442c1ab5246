"""What must hold in any transformer that is computed consistently, seen on a short run.

Each function gives a `Check`, or None where the model has nothing of the kind.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from lenswright.selftest import steadiness
from lenswright.selftest.run import Check, Run, error, worst


def values_by_pattern(run: Run) -> Check | None:
    """pattern · v = z, each head with its group's values."""
    figures = {}
    for layer in run.layers:
        pattern, v = run.need(layer, "attn.hook_pattern"), run.need(layer, "attn.hook_v")
        v = v.repeat_interleave(pattern.shape[1] // v.shape[2], dim=2)
        z = torch.einsum("bhqk,bkhe->bqhe", pattern, v)
        figures[f"blocks.{layer}"] = error(z, run.need(layer, "attn.hook_z"))
    return worst("pattern · v = z", run.limit, figures)


def heads_sum(run: Run) -> Check | None:
    """What the heads write, and the bias, sum to attn.hook_out."""
    figures = {}
    for layer in run.layers:
        z, w = run.need(layer, "attn.hook_z"), run.weight(layer, "attn.W_O")
        assert w is not None
        each = torch.einsum("bphe,dhe->bphd", z, w.unflatten(1, z.shape[2:]).to(z.device))
        out = each.sum(2)
        if (bias := run.weight(layer, "attn.b_O")) is not None:
            out = out + bias
        figures[f"blocks.{layer}"] = error(out, run.need(layer, "attn.hook_out"))
    return worst("heads sum to attn.hook_out", run.limit, figures)


def _normed_behind(run: Run, layer: int, norm: str) -> torch.Tensor:
    # What a norm on the residual leaves there, from the norm's own points.
    value = run.need(layer, f"{norm}.hook_normalized")
    if (gain := run.weight(layer, f"{norm}.w")) is not None:
        value = value * (gain + run.spec["norm_offset"])
    bias = run.weight(layer, f"{norm}.b")
    return value if bias is None else value + bias


def contributions(run: Run) -> Check | None:
    """What is embedded and what each branch adds sum to the residual, block by block."""
    behind, figures = run.spec["norms"] == "behind", {}
    before = run.cache["hook_embed"].double()
    if "hook_pos_embed" in run.cache:
        before = before + run.cache["hook_pos_embed"].double()
    for layer in run.layers:
        pre, post = run.need(layer, "hook_resid_pre"), run.need(layer, "hook_resid_post")
        attn, mlp = run.need(layer, "hook_attn_out"), run.need(layer, "hook_mlp_out")
        pairs = {"resid_pre": (before, pre)}
        mid = run.at(layer, "hook_resid_mid")
        if mid is None:
            pairs["resid_post"] = (pre + attn + mlp, post)
        elif behind:
            pairs["resid_mid"] = (_normed_behind(run, layer, "ln1"), mid)
            pairs["resid_post"] = (_normed_behind(run, layer, "ln2"), post)
            scale = run.need(layer, "ln1.hook_scale")
            centred = run.need(layer, "ln1.hook_normalized") * scale
            total = pre + attn
            if run.spec["norm"] == "layer":
                total = total - total.mean(-1, keepdim=True)
            pairs["ln1"] = (centred, total)
        else:
            pairs["resid_mid"] = (pre + attn, mid)
            pairs["resid_post"] = (mid + mlp, post)
        for name, (a, b) in pairs.items():
            figures[f"blocks.{layer}.hook_{name}"] = error(a, b)
        before = post
    return worst("contributions sum to the residual", run.limit, figures)


def branches(run: Run) -> Check | None:
    """What a branch adds is its raw output, after its norm, times the residual's multiplier."""
    figures = {}
    for layer in run.layers:
        for raw, norm, added in (
            ("attn.hook_out", "ln1_post", "hook_attn_out"),
            ("mlp.hook_out", "ln2_post", "hook_mlp_out"),
        ):
            value = run.need(layer, raw)
            if run.at(layer, f"{norm}.hook_normalized") is not None:
                value = _normed_behind(run, layer, norm)
            value = value * run.spec["residual_scale"]
            figures[f"blocks.{layer}.{added}"] = error(value, run.need(layer, added))
    return worst("branches are added as written", run.limit, figures)


def pattern_rows(run: Run) -> Check | None:
    """Rows of a pattern sum to 1, or to 1 less what the sinks take."""
    figures = {}
    for layer in run.layers:
        total = run.need(layer, "attn.hook_pattern").sum(-1)
        if (sink := run.at(layer, "attn.hook_sink")) is not None:
            total = total + sink
        figures[f"blocks.{layer}"] = error(total, torch.ones_like(total))
    return worst("rows of the pattern sum to 1", run.limit, figures)


def normed(run: Run) -> Check | None:
    """A normalised row has the size its scale says: mean of squares · scale² + eps = scale²."""
    figures = {}
    for name in run.cache:
        if not name.endswith("hook_scale"):
            continue
        square = run.cache[name].double().square()
        rows = run.cache[name.removesuffix("scale") + "normalized"].double()
        size = rows.square().mean(-1, keepdim=True) * square + run.spec["norm_eps"]
        figures[name.removesuffix(".hook_scale")] = error(size / square, torch.ones_like(square))
    return worst("norms give rows of unit size", run.limit, figures)


def experts_sum(run: Run) -> Check | None:
    """Chosen experts' outputs, by their weights, and the shared expert sum to mlp.hook_out."""
    figures = {}
    for layer in run.layers:
        outputs = run.at(layer, "mlp.hook_expert_out")
        if outputs is None:
            continue
        weights = run.need(layer, "mlp.hook_expert_weights").unsqueeze(-1)
        if run.spec["mixture"]["router"] == "sigmoid_input":  # there the input was multiplied
            weights = torch.ones_like(weights)
        total = (outputs * weights).sum(2)
        if (shared := run.at(layer, "mlp.hook_shared_out")) is not None:
            total = total + shared
        figures[f"blocks.{layer}"] = error(total, run.need(layer, "mlp.hook_out"))
    return worst("experts sum to mlp.hook_out", run.limit, figures)


def choices(run: Run) -> Check | None:
    """Every token goes to as many different experts as the config says."""
    figures = {}
    for layer in run.layers:
        indices = run.at(layer, "mlp.hook_expert_indices")
        if indices is None:
            continue
        ordered = indices.sort(-1).values
        again = float((ordered.diff(dim=-1) == 0).sum())
        beyond = float((indices >= run.spec["mixture"]["experts"]).sum())
        figures[f"blocks.{layer}"] = again + beyond
    return worst("chosen experts are different ones", 0.0, figures)


INVARIANTS: tuple[Callable[[Run], Check | None], ...] = (
    values_by_pattern, heads_sum, contributions, branches, pattern_rows, normed, experts_sum,
    choices, steadiness.causality, steadiness.window, steadiness.watching, steadiness.padding,
    steadiness.cached, steadiness.gradient,
)  # fmt: skip
"""In the order of a report."""


def check_invariants(run: Run, progress: Callable[[str], None] = lambda _: None) -> list[Check]:
    """Every invariant that this model has something of."""
    found = []
    for invariant in INVARIANTS:
        progress((invariant.__doc__ or "").split("\n")[0].rstrip("."))
        if (check := invariant(run)) is not None:
            found.append(check)
    return found
