"""What `lw.deterministic()` costs: 64 short prompts on the demonstration model, with and without.

The work is the forward to the last position and greedy answers of 8 tokens; the
reference is the same call outside. There is no limit: the figure is what a user pays for the same
bytes in any batch and with any number of threads, which the table checks on the way.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from measuring import CLOCKS, Row, Work, interleaved, machine, show


def within(work: Work) -> Callable[[], object]:
    import lenswright as lw

    def run() -> object:
        with lw.deterministic():
            return work()

    return run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="interleaved rounds (default 30)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="cpu: processor seconds, for a busy machine with --threads 1",
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    import lenswright as lw
    from lenswright.demo import MODEL, story

    model = lw.load(MODEL)
    prompts = [prompt.text for prompt in story.splits(1).test][:64]
    tokens = model.prompt_tokens(prompts)
    work: dict[str, Work] = {
        "forward": lambda: model(tokens, logits_at="last"),
        "answers": lambda: model.generate(tokens, 8, return_type="tokens"),
    }
    names = list(work)
    for name in names:
        work[f"{name}, deterministic"] = within(work[name])
    with torch.no_grad():
        print(machine())
        whole = work["forward, deterministic"]()
        with lw.deterministic():
            alone = torch.cat([model([row], logits_at="last") for row in tokens])
        print(f"64 prompts at once and one by one: same bytes: {torch.equal(whole, alone)}")
        times = interleaved(work, arguments.rounds, arguments.clock)
    show("64 short prompts, deterministic / usual", times,
         [Row(name, f"{name}, deterministic", name, None) for name in names])  # fmt: skip
    print(machine())
    return 0 if torch.equal(whole, alone) else 1


if __name__ == "__main__":
    raise SystemExit(main())
