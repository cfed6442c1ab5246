"""`lenswright moe`: dense models into a mixture of experts, by mergekit-moe's grammar."""

from __future__ import annotations

import argparse
import json

from lenswright.cli import options

HELP = """\
Build a mixture of experts from dense models of one shape, by a YAML recipe of mergekit-moe's
grammar: base_model, experts (source_model, positive_prompts, negative_prompts, noise_scale,
residual_scale), shared_experts, gate_mode (hidden, hidden_avg, cheap_embed, random,
uniform_random), experts_per_token, dtype, architecture (mixtral, qwen2_moe, qwen3_moe, deepseek).
Everything is checked before the first byte is written.

  lenswright moe recipe.yml mixture/
  lenswright moe recipe.yml mixture/ --dry-run

Exit code: 0 when done, 2 when the call itself was wrong.
"""


# flags of mergekit-moe without a meaning here -> why
NEEDLESS = {
    "--i-understand-this-is-not-useful-without-training": "it is up to the one who builds it",
    "--cuda": "gates take a few prompts, the rest is copying",
    "--load-in-4bit": "weights stay as they are stored",
    "--load-in-8bit": "weights stay as they are stored",
    "--lazy-unpickle": "pickled weights are never opened",
    "--trust-remote-code": "no code of a model is ever run",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    options.add_recipe(parser, "YAML file")
    add("--seed", type=int, default=0, metavar="N",
        help="of gates by chance, and of noise (default: 0)")  # fmt: skip
    options.add_shard_size(parser)
    options.add_threads(parser, "-j")
    options.add_json(parser)
    options.add_needless(parser, NEEDLESS)


def run(args: argparse.Namespace) -> int:
    """Build."""
    from lenswright.merging.mixture.build import mixture_of_experts

    options.tell_needless(options.needless(args, NEEDLESS))
    done = mixture_of_experts(
        args.recipe, args.out, seed=args.seed, threads=args.threads, shard_size=args.shard_size,
        dry_run=args.dry_run,
    )  # fmt: skip
    print(json.dumps(done.to_json(), indent=2) if args.json else done.text())
    return 0
