"""Selection and many edits at once, on random float32 weights of Qwen2.5-0.5B's shape.

Grid: `directions.select` over 4 positions and a choice of layers, random directions included,
beside what most do: a `transformers` model with PyTorch forward hooks, for every direction one pass
of all prompts for each of the three scores (the plain loop takes all logits and keeps the last; a
careful one asks for the last only). A sample of directions is timed for the loop, before and after
ours, as each costs the same. Prompts have the length of instructions (8 to 22 words) in Qwen2.5's
template: 24 tokens before, 5 behind. The bound is the products that the work needs once, what
prompts share counted once, at the machine's own float32 rate.
Decode: one edit, 16 edits as rows of one batch against sixteen runs, by decoding steps.
Tried: a forward with a plain ablation of every writer in trial against one without.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from bench_decode import peer_of, write_qwen
from hook_loop import HookLoop
from measuring import Row, Work, gemm_rate, interleaved, run_parts, show

POSITIONS = [-4, -3, -2, -1]
WORDS = 500
LENGTHS = (8, 10, 12, 13, 14, 15, 17, 22)
BEFORE, BEHIND = 24, 5
EDITS = 16


def add_tokenizer(folder: Path) -> None:
    """Words as tokens, in a template as long as Qwen2.5's."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    marks = [f"b{i}" for i in range(BEFORE)] + [f"e{i}" for i in range(BEHIND)] + ["<unk>"]
    names = marks + [f"w{i}" for i in range(WORDS)]
    tokenizer = Tokenizer(models.WordLevel({n: i for i, n in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    before, behind = " ".join(marks[:BEFORE]), " ".join(marks[BEFORE : BEFORE + BEHIND])
    template = "{% for m in messages %}" + before + " {{ m['content'] }} " + behind + "{% endfor %}"
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))


def qwen(folder: Path) -> Path:
    """A checkpoint of the shape, in float32."""
    wide = write_qwen(folder)
    add_tokenizer(wide)
    return wide


def splits_of(prompts: int) -> Any:
    """So many prompts a class to select on, as many to fit."""
    import lenswright as lw

    generator = torch.Generator().manual_seed(0)
    texts = []
    for i in range(6 * prompts):
        words = torch.randint(0, WORDS, (LENGTHS[i % len(LENGTHS)],), generator=generator)
        texts.append(" ".join(f"w{word}" for word in words.tolist()))
    parts = [texts[i * prompts : (i + 1) * prompts] for i in range(6)]
    roles = ("fit", "select", "test")
    return lw.Splits.from_parts(
        **{r: {"positive": parts[2 * i], "negative": parts[2 * i + 1]} for i, r in enumerate(roles)}
    )


def needed(model: Any, splits: Any, tried: Sequence[dict[str, Any]], n_random: int) -> float:
    """FLOP of the products of a selection, each shared token once."""
    cfg = model.cfg
    kv = cfg.n_key_value_heads * cfg.d_head
    attention = 2 * cfg.d_model * (2 * cfg.d_model + 2 * kv)
    mlp = 2 * 3 * cfg.d_model * cfg.d_mlp
    head = 2 * cfg.d_model * cfg.d_vocab

    def row(prompts: int, tokens: int, layers: int) -> float:
        # The last block's MLP acts where something is read, and so does the unembedding.
        whole = tokens * (layers * (attention + mlp) - mlp)
        return whole + prompts * (mlp + head)

    rows = [
        model.prompt_tokens([p.text for p in side])
        for side in (splits.select.positive, splits.select.negative)
    ]
    alone = [sum(len(ids) - BEFORE for ids in side) for side in rows]
    ablated = row(sum(map(len, rows)), BEFORE + sum(alone), cfg.n_layers)
    total = ablated * (len(tried) + n_random + 1)
    depths = [cfg.n_layers - one["layer"] for one in tried]
    depths += [round(statistics.mean(depths))] * n_random + [max(depths)]
    return total + sum(row(len(rows[1]), BEFORE + alone[1], depth) for depth in depths)


def grid(folder: Path, arguments: argparse.Namespace) -> list[str]:
    import lenswright as lw

    path = qwen(folder)
    model, peer = lw.load(path, dtype="float32"), peer_of(path, torch.float32)
    splits = splits_of(arguments.prompts)
    layers = arguments.layers or list(range(1, model.cfg.n_layers))
    found = lw.directions.difference_of_means(model.collect(splits.fit, positions=POSITIONS))
    score = lw.directions.TokenLogOdds(["w5"], ["w8"])
    times: dict[str, list[float]] = {"plain": [], "careful": []}
    loops = {name: HookLoop(peer, model, splits, name == "careful") for name in times}
    places = [(layer, position) for layer in layers for position in POSITIONS]
    sample = places[:: max(1, len(places) // arguments.sample)][: arguments.sample]
    theirs: dict[tuple[int, int], dict[str, float]] = {}

    def loop() -> None:
        for layer, position in sample:
            at = f"blocks.{layer}.hook_resid_pre", position
            unit, raw = found.vector(*at).float(), found.raw(*at).float()
            for name, one in loops.items():
                start = time.perf_counter()
                theirs[layer, position] = one.scores(layer, unit, raw)
                times[name].append(time.perf_counter() - start)

    rates = [gemm_rate(1024, 896, 4864)]
    loop()
    start = time.perf_counter()
    choice = lw.directions.select(
        model, found, splits.select, score=score, layers=layers, n_random=arguments.null,
        deterministic=not arguments.quick, progress=False,
    )  # fmt: skip
    ours = time.perf_counter() - start
    loop()
    rates.append(gemm_rate(1024, 896, 4864))
    tried = [row for row in choice.table if row["bypass"] is not None]
    check_scores(tried, theirs)
    variants = len(tried) + arguments.null
    flop = needed(model, splits, tried, arguments.null)
    bound = flop / statistics.mean(rates) / 1e9
    print(f"\nGrid: {len(tried)} candidates and {arguments.null} random directions, "
          f"{arguments.prompts} prompts a class; {1e-12 * flop:.2f} TFLOP, "
          f"products at {rates[0]:.0f} and {rates[1]:.0f} GFLOP/s")  # fmt: skip
    print(f"{'':22}{'seconds':>10}{'loop / ours':>13}")
    print(f"{'ours':22}{ours:10.1f}")
    print(f"{'arithmetic bound':22}{bound:10.1f}   ours is {ours / bound:.2f} of it (limit 1.50)")
    ratios = {}
    for name, seconds in times.items():
        # Of a direction three passes; without any, two.
        whole = statistics.median(seconds) * (variants + 2 / 3)
        ratios[name] = whole / ours
        span = f"{len(seconds)} directions, {min(seconds):.2f} to {max(seconds):.2f} s each"
        print(f"{name + ' hook loop':22}{whole:10.1f}{ratios[name]:13.2f}   of {span}")
    missed = ["5 times the plain hook loop"] if ratios["plain"] < 5 else []
    return missed + (["1.5 times the bound"] if ours > 1.5 * bound else [])


def check_scores(
    tried: Sequence[dict[str, Any]], theirs: dict[tuple[int, int], dict[str, float]]
) -> None:
    """A fast wrong answer is no answer."""
    ours = {(row["layer"], row["offset"]): row for row in tried}
    worst = max(
        abs(ours[place][name] - value) / max(abs(value), 1e-2)
        for place, scores in theirs.items()
        for name, value in scores.items()
    )
    print(f"scores agree with the hook loop's to {worst:.1e} relative")
    assert worst < 1e-2, worst


def decode(folder: Path, arguments: argparse.Namespace) -> list[str]:
    import lenswright as lw

    model = lw.load(qwen(folder), dtype="float32")
    x = torch.randint(0, model.cfg.d_vocab, (1, 1))
    many = lw.edits.ablate(model, torch.randn(EDITS, model.cfg.d_model), rows=True)
    each = [many.row(i) for i in range(EDITS)]

    def run(edit: Any, rows: int) -> list[list[int]]:
        with model.edited(edit):
            said = model.generate(x.expand(rows, -1), arguments.tokens, stop_at_eos=False,
                                  return_type="tokens")  # fmt: skip
        return list(said)

    def one_by_one() -> list[list[int]]:
        return [run(edit, 1)[0] for edit in each]

    together, alone = run(many, EDITS), one_by_one()
    same = sum(a == b for a, b in zip(together, alone, strict=True))
    print(f"{same} of {EDITS} rows say the same tokens as alone")
    assert same >= EDITS - 1, "more than a tie apart"
    works: dict[str, Work] = {"rows": lambda: run(many, EDITS), "alone": one_by_one}
    times = interleaved(works, arguments.rounds)
    return show(f"Decode: {EDITS} edits, {arguments.tokens} tokens each", times,
                [Row("rows of one batch / sixteen runs", "rows", "alone", 1 / 4)])  # fmt: skip


def tried(folder: Path, arguments: argparse.Namespace) -> list[str]:
    import lenswright as lw

    model = lw.load(qwen(folder), dtype="float32")
    x = torch.randint(0, model.cfg.d_vocab, (2, 64))
    edit = lw.edits.ablate(model, torch.randn(model.cfg.d_model))

    def with_edit() -> torch.Tensor:
        with model.edited(edit):
            return model(x)

    works: dict[str, Work] = {"tried": with_edit, "plain": lambda: model(x)}
    times = interleaved(works, 4 * arguments.rounds)
    return show("Tried: a forward of 2 x 64 tokens", times,
                [Row("with an edit / without", "tried", "plain", 1.05)])  # fmt: skip


PARTS = {"grid": grid, "decode": decode, "tried": tried}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--prompts", type=int, default=16, help="a class, to select on (default 16)")
    add("--layers", type=int, nargs="+", help="of the grid (default: all but the first)")
    add("--null", type=int, default=20, help="random directions (default 20)")
    add("--sample", type=int, default=2, help="directions of the hook loop, twice (default 2)")
    add("--quick", action="store_true", help="select without deterministic")
    add("--rounds", type=int, default=3, help="interleaved rounds of the other parts (default 3)")
    add("--tokens", type=int, default=8, help="decoding steps (default 8)")
    add("--threads", type=int, default=torch.get_num_threads())
    add("--only", choices=PARTS, action="append", help="parts to run")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    return run_parts(PARTS, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
