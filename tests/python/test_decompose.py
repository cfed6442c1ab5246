"""Parts of the residual stream: they sum to what they are parts of."""

from __future__ import annotations

import pytest
import torch

import lenswright as lw
from lenswright.verifying.verify import relative_error
from support import random_tokens, same

BOTH = ["llama-grouped", "gpt2"]


@pytest.fixture(params=BOTH)
def run(tiny, request):
    model, tokens = lw.load(tiny(request.param), dtype="float64"), random_tokens(2, 7)
    logits, cache = model.run_with_cache(tokens)
    return model, tokens, logits, cache


def test_accumulated_resid(run):
    model, _, logits, cache = run
    stack, labels = cache.accumulated_resid(return_labels=True)
    assert stack.shape == (4, 2, 7, model.cfg.d_model)
    assert labels == ["0_pre", "1_pre", "2_pre", "final_post"]
    assert same(stack[1], cache["resid_pre", 1])
    assert same(stack[-1], cache["resid_post", 2])
    with_mid, labels = cache.accumulated_resid(incl_mid=True, return_labels=True)
    assert with_mid.shape[0] == 7
    assert labels[:3] == ["0_pre", "0_mid", "1_pre"]
    assert same(with_mid[1], cache["resid_mid", 0])
    normed = cache.accumulated_resid(apply_ln=True)
    assert relative_error(normed[-1], cache["unembed.hook_in"]) < 1e-13
    assert relative_error(cache.logit_lens()[-1], logits) < 1e-13
    assert cache.accumulated_resid(layer=1).shape[0] == 2


def test_decompose_resid_sums_to_the_residual(run):
    model, _, _, cache = run
    parts, labels = cache.decompose_resid(return_labels=True)
    start = ["embed"] if model.cfg.positional_embedding_type == "rotary" else ["embed", "pos_embed"]
    assert labels == start + [f"{i}_{part}_out" for i in range(3) for part in ("attn", "mlp")]
    assert relative_error(parts.sum(0), cache["resid_post", 2]) < 1e-13
    attn = cache.decompose_resid(mode="attn")
    mlp = cache.decompose_resid(mode="mlp", incl_embeds=False)
    assert relative_error(attn.sum(0) + mlp.sum(0), cache["resid_post", 2]) < 1e-13
    assert relative_error(cache.decompose_resid(layer=2).sum(0), cache["resid_pre", 2]) < 1e-13
    normed = cache.decompose_resid(apply_ln=True)
    bias = model.weights().get("ln_final.b", torch.zeros(1)).double()
    assert relative_error(normed.sum(0) + bias, cache["unembed.hook_in"]) < 1e-13
    part = cache.decompose_resid(apply_ln=True, pos_slice=slice(2, 5))
    assert same(part, normed[:, :, 2:5])


def test_stack_head_results(run):
    model, tokens, _, cache = run
    h = model.cfg.n_heads
    heads, labels = cache.stack_head_results(layer=3, return_labels=True)
    assert heads.shape == (3 * h, 2, 7, model.cfg.d_model)
    assert labels[:2] == ["L0H0", "L0H1"]
    result = model.capture(tokens, ["blocks.1.attn.hook_result"])["result", 1]
    assert relative_error(heads[h], result[:, :, 0]) < 1e-13
    whole, labels = cache.stack_head_results(layer=3, incl_remainder=True, return_labels=True)
    assert labels[-1] == "remainder"
    assert relative_error(whole.sum(0), cache["resid_post", 2]) < 1e-13


def test_logit_attributions_sum_to_logit_differences(run):
    """The parts of the final residual, read along an answer's direction, sum to its logit."""
    model, tokens, logits, cache = run
    right, wrong = tokens[:, 1], (tokens[:, 1] + 5) % 97
    parts = cache.decompose_resid(apply_ln=False)
    attrs = cache.logit_attrs(parts, tokens=right, incorrect_tokens=wrong)
    assert attrs.shape == (parts.shape[0], 2, 7)
    rows = torch.arange(2)
    difference = logits[rows, :, right] - logits[rows, :, wrong]
    bias = norm_bias_difference(model, right, wrong)
    assert relative_error(attrs.sum(0), difference - bias) < 1e-12


def test_logit_attributions_of_one_token_for_all_rows(run):
    _, _, _, cache = run
    parts = cache.accumulated_resid()
    one = cache.logit_attrs(parts, tokens=5)
    each = cache.logit_attrs(parts, tokens=torch.tensor([5, 5]))
    assert relative_error(one, each) < 1e-13


def norm_bias_difference(model, right, wrong):
    """What the final norm's bias alone gives the logit difference: [batch, 1]."""
    weights = model.parameters()
    bias = next((w for n, w in weights.items() if n.endswith("ln_f.bias")), None)
    if bias is None:
        return 0.0
    head = next(w for n, w in weights.items() if n.endswith(("lm_head.weight", "wte.weight")))
    return ((head[right].double() - head[wrong].double()) @ bias.double()).unsqueeze(1)
