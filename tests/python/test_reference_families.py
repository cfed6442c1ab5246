"""The oracle judged by itself: what the points of any family must satisfy."""

from __future__ import annotations

import json

import pytest
import torch

from activation_formulas import activation
from families import CASES, ROWS
from lenswright.reference import FAMILIES
from lenswright.reference.norms import norm_points
from lenswright.verifying.lifted import lifted
from lenswright.verifying.verify import relative_error
from reference_run import LENGTH, LIMIT, Run, close
from support import next_token_loss, random_tokens


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(filter(None, case)))
def run(family, request):
    return Run(family(*request.param))


def repeated(x, heads):
    """[batch, pos, kv, e] -> [batch, heads, pos, e]."""
    return x.repeat_interleave(heads // x.shape[2], dim=2).transpose(1, 2)


def test_the_residual_is_the_sum_of_what_is_added(run):
    for layer, at in enumerate(run.blocks()):
        p = run.ref.parts
        mid = at["hook_resid_pre"] + at["hook_attn_out"]
        if p.behind:
            mid = run.ref.find(p.ln1, layer)(mid)
        if p.parallel:
            assert "hook_resid_mid" not in at
        else:
            close(at["hook_resid_mid"], mid)
        post = mid + at["hook_mlp_out"]
        close(at["hook_resid_post"], run.ref.find(p.ln2, layer)(post) if p.behind else post)
        if layer:
            close(at["hook_resid_pre"], run.at[f"blocks.{layer - 1}.hook_resid_post"])


def test_the_residual_starts_with_the_embedding(run):
    start = run.at["hook_embed"]
    if "hook_pos_embed" in run.at:
        start = start + run.at["hook_pos_embed"]
    close(run.at["blocks.0.hook_resid_pre"], start)


def test_the_pattern_mixes_values_into_z(run):
    for at in run.blocks():
        values = repeated(at["attn.hook_v"], run.ref.n_heads)
        close(at["attn.hook_z"], (at["attn.hook_pattern"] @ values).transpose(1, 2))


def test_the_pattern_is_the_softmax_of_the_scores(run):
    future = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
    for at in run.blocks():
        pattern, scores = at["attn.hook_pattern"], at["attn.hook_attn_scores"]
        share = 1 - at["attn.hook_sink"] if "attn.hook_sink" in at else torch.ones(())
        assert share.min() > 0
        close(pattern.sum(-1), share.expand(pattern.shape[:-1]))
        close(pattern, scores.softmax(-1) * share.unsqueeze(-1))
        assert torch.isneginf(scores[..., future]).all()
        assert torch.isfinite(scores.diagonal(dim1=-2, dim2=-1)).all()


def test_scores_are_scaled_products_of_what_was_rotated(run):
    """Beside one scale per layer and a bias per head and key (ALiBi)."""
    for layer, at in enumerate(run.blocks()):
        q, k = _grown(run, layer, _last(run, at, "q")), _last(run, at, "k")
        products = q.transpose(1, 2) @ repeated(k, run.ref.n_heads).transpose(-1, -2)
        close(*_fitted(products, _uncapped(run, at["attn.hook_attn_scores"])))


def _uncapped(run, scores):
    """What cap * tanh(x / cap) was made of; not a number where a score is minus infinity."""
    cap = getattr(run.text, "attn_logit_softcapping", None)
    return cap * (scores / cap).atanh() if cap else scores


def _grown(run, layer, q):
    """Queries [batch, pos, heads, d_head] of layers that do not rotate, as Llama 4 has them."""
    text = run.text
    tuned = text.model_type == "llama4_text" and text.attn_temperature_tuning
    if not tuned or text.no_rope_layers[layer]:
        return q
    steps = ((torch.arange(LENGTH).double() + 1) / text.floor_scale).floor()
    return q * (1 + text.attn_scale * (1 + steps).log()).view(1, LENGTH, 1, 1)


def _last(run, at, name):
    """What enters the product: rotated or normed, whichever came later."""
    rotated, normed = at.get(f"attn.hook_rot_{name}"), at.get(f"attn.hook_{name}_normed")
    if rotated is None or run.ref.parts.norm_after_rotation:
        return at[f"attn.hook_{name}"] if normed is None else normed
    return rotated


def _fitted(products, scores):
    """(scores, their least squares fit by scale x products + bias[head, key])."""
    batch, heads, length, _ = products.shape
    seen = torch.isfinite(scores)
    bias = torch.eye(heads * length).double().view(1, heads, 1, length, -1)
    bias = bias.expand(batch, -1, length, -1, -1)
    columns = torch.cat([products.unsqueeze(-1), bias], -1)[seen]
    wanted = scores[seen]
    fit = torch.linalg.lstsq(columns, wanted.unsqueeze(-1), driver="gelsd").solution
    return (columns @ fit).squeeze(-1), wanted


def test_rotation_keeps_lengths(run):
    """Of all positions, and everything at position 0 but for a scale of the frequencies."""
    for at in run.blocks():
        for name in "qk":
            if (turned := at.get(f"attn.hook_rot_{name}")) is None:
                continue
            straight = at.get(f"attn.hook_{name}_normed", at[f"attn.hook_{name}"])
            if run.ref.parts.norm_after_rotation:
                straight = at[f"attn.hook_{name}"]
            grown = turned.norm(dim=-1) / straight.norm(dim=-1)
            if not _scaled_rope(run.text):
                close(grown, torch.ones_like(grown))
                first = [turned[:, 0], straight[:, 0]]
                if run.ref.parts.latent:  # which may write what it turned in another order
                    first = [x.sort().values for x in first]
                close(*first)
                assert relative_error(turned, straight) > 0.01


def _scaled_rope(text):
    """Whether any layer's rotations are scaled; families with two kinds nest the setting."""
    rope = getattr(text, "rope_parameters", None) or {}
    kinds = [rope, *(part for part in rope.values() if isinstance(part, dict))]
    return any(part.get("rope_type", "default") != "default" for part in kinds)


def test_heads_results_sum_to_the_output(run):
    for layer, at in enumerate(run.blocks()):
        bias = getattr(run.ref.in_attention(run.ref.parts.out, layer), "bias", None)
        whole = at["attn.hook_result"].sum(2)
        close(at["attn.hook_out"], whole if bias is None else whole + bias)


def test_norm_points_are_the_norms_of_the_model(run):
    """On rows of their own: normalized x gain + bias is what the module puts out."""
    p = run.ref.parts
    found = [run.ref.find(path) for path in (p.final_norm, p.embed_norm)]
    for layer in range(run.ref.n_layers):
        found += [run.ref.find(path, layer) for path in (p.ln1, p.ln2, p.ln1_post, p.ln2_post)]
    norms = [module for module in found if module is not None]
    x = torch.randn(5, run.at["hook_embed"].shape[-1], dtype=torch.float64)
    for module in norms:
        normalized = norm_points("ln", module, lambda: x)["ln.hook_normalized"]()
        gain, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        gains = [torch.ones(())] if gain is None else [gain, 1 + gain]
        with lifted():
            out = module(x)
        assert (
            min(relative_error(normalized * g + (0 if bias is None else bias), out) for g in gains)
            <= LIMIT
        )
    assert norms


def test_branches_read_their_norms(run):
    """Pre-activations and queries are projections of the norm of the residual that is named."""
    p = run.ref.parts
    for layer, at in enumerate(run.blocks()):
        with lifted():
            if p.ln1 and not p.behind and len(p.qkv) == 3 and p.latent is None:
                normed = run.ref.find(p.ln1, layer)(at["hook_resid_pre"])
                q = run.ref.in_attention(p.qkv[0], layer)(normed)
                q = q if p.clip is None or p.clip_normed else q.clamp(-p.clip, p.clip)
                close(at["attn.hook_q"].flatten(2), q)
            if "mlp.hook_pre" in at and not p.gate_up and not p.behind:
                norm = run.ref.find(p.ln2, layer)
                if norm is None and p.parallel:
                    norm = run.ref.find(p.ln1, layer)
                read = at["hook_mlp_in"] if norm is None else norm(at["hook_mlp_in"])
                close(at["mlp.hook_pre"], run.ref.find(p.gate or p.up, layer)(read))


def test_the_activation_lies_between_its_points(run):
    for layer, at in enumerate(run.blocks()):
        if "mlp.hook_pre" in at:
            with lifted():
                active = activation(run.ref, run.text, layer)(at["mlp.hook_pre"])
            close(at["mlp.hook_post"], active * at.get("mlp.hook_pre_linear", torch.ones(())))


def test_the_head_reads_and_writes_what_its_points_say(run):
    head = run.ref.model.get_output_embeddings()
    close(run.at["unembed.hook_out"], head(run.at["unembed.hook_in"]))
    logits, raw = run.at["logits"], run.at["unembed.hook_out"]
    if not getattr(run.text, "final_logit_softcapping", None):
        close(logits / logits.abs().max(), raw / raw.abs().max())


def test_gradients_are_finite_and_pass_through_additions(run):
    tokens = random_tokens(2, LENGTH)
    at, _ = run.ref.gradients(tokens, lambda logits: next_token_loss(logits, tokens))
    assert all(value.isfinite().all() for value in at.values())
    assert set(at) <= set(run.ref.names())
    if run.ref.parts.behind:
        return
    for layer in range(run.ref.n_layers):
        start = f"blocks.{layer}."
        close(at[f"{start}hook_mlp_out"], at[f"{start}hook_resid_post"])
        after = "hook_resid_post" if run.ref.parts.parallel else "hook_resid_mid"
        close(at[f"{start}hook_attn_out"], at[start + after])


def test_every_family_has_a_row_here():
    assert {row.model_type or name for name, row in ROWS.items()} == set(FAMILIES)


@pytest.mark.parametrize("name", ROWS)
def test_rows_name_their_class(family, name):
    config = json.loads((family(name) / "config.json").read_text())
    assert config["architectures"] == [ROWS[name].architecture]
