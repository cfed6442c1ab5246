"""Training in the toy language: the same bytes, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lenswright.demo import folder


def test_first_weights_depend_on_seed_and_name_alone() -> None:
    import torch

    one, two = folder.initial(1), folder.initial(2)
    assert list(one) == list(folder.shapes())
    assert all(torch.equal(one[name], value) for name, value in folder.initial(1).items())
    assert not torch.equal(one["lm_head.weight"], two["lm_head.weight"])
    assert not torch.equal(one["model.layers.0.self_attn.q_proj.weight"],
                           one["model.layers.0.self_attn.k_proj.weight"])  # fmt: skip


def test_writing_a_folder_needs_all_of_its_tensors(tmp_path: Path) -> None:
    tensors = folder.initial(1)
    tensors.pop("lm_head.weight")
    with pytest.raises(ValueError, match="expected those of shapes"):
        folder.write(tmp_path / "model", tensors)
    assert not list(tmp_path.iterdir())


def test_training_twice_gives_the_same_bytes_and_moves_what_it_should(tmp_path: Path) -> None:
    import torch

    from lenswright import Checkpoint
    from lenswright.demo import train

    phases = tuple(replace(phase, steps=2) for phase in train.PHASES)
    threads = torch.get_num_threads()
    runs = []
    for index, count in enumerate((1, 2)):
        torch.set_num_threads(count)
        runs.append(train.train(tmp_path / str(index), seed=5, phases=phases, progress=False))
        assert torch.get_num_threads() == count
    torch.set_num_threads(threads)
    files = [{f.name: f.read_bytes() for f in run.folder.iterdir()} for run in runs]
    assert files[0] == files[1]
    assert runs[0].losses == runs[1].losses
    first = train.train(tmp_path / "first", seed=5, phases=phases[:1], progress=False)
    trained, before = Checkpoint(runs[0].folder), Checkpoint(first.folder)
    for name in folder.shapes():
        moved = not torch.equal(trained[name], before[name])
        assert moved == phases[1].trains(name), name


def test_training_refuses_before_it_starts(tmp_path: Path) -> None:
    from lenswright.demo import train

    with pytest.raises(FileExistsError, match="exists"):
        train.train(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no"):
        train.train(tmp_path / "missing" / "model")


def test_the_learning_rate_warms_up_and_falls() -> None:
    from lenswright.demo.train import Phase

    phase = Phase(1, steps=100, rate=1.0, warmup=10, decay=0.0)
    rates = [phase.rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert 0.05 <= rates[-1] < 0.06
