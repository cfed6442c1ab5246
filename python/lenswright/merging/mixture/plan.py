"""What a mixture is made of: its models, checked against its layout and one another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch

from lenswright import _files
from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.merging.assembling import Assembly
from lenswright.merging.mixture.config import Sizes, mixture_config
from lenswright.merging.mixture.gates import condition, gates
from lenswright.merging.mixture.layouts import HEAD_NORMS, chosen_layout
from lenswright.merging.mixture.recipe import DTYPES, Expert, MixtureRecipe
from lenswright.merging.references import located

_PARTS = ("gate_proj", "up_proj", "down_proj")


class MixturePlan:
    """A recipe with its models opened and checked against its layout and one another."""

    def __init__(self, recipe: MixtureRecipe) -> None:
        self.recipe = recipe
        self.places = {name: located(name) for name in recipe.models()}
        files = {
            name: Checkpoint(place[0] if isinstance(place, tuple) else place)
            for name, place in self.places.items()
        }
        self.base = files[recipe.base]
        config = self.base.config
        if config is None:
            raise ValueError(f"base_model '{recipe.base}' has no config.json")
        self.kind = str(config.get("model_type"))
        self.layout = chosen_layout(recipe.layout, self.kind, len(recipe.shared))
        if recipe.prompted and isinstance(self.places[recipe.base], tuple):
            raise ValueError(
                f"base_model '{recipe.base}' has an adapter, and gates are made with the model "
                "itself; merge the adapter into it first, or take gate_mode: random"
            )
        if recipe.prompted and self.layout.shared_gate and not recipe.shared[0].positive:
            raise ValueError(
                f"{recipe.shared[0].where}: no positive_prompts; in the layout "
                f"'{self.layout.name}' the shared expert has a gate, too"
            )
        self.layers, self.width = int(config["num_hidden_layers"]), int(config["hidden_size"])
        widths = [self._width(files[e.model], e) for e in (*recipe.experts, *recipe.shared)]
        for expert, width in zip(recipe.experts, widths, strict=False):
            if width != widths[0]:
                raise ValueError(
                    f"{expert.where}: MLPs of '{expert.model}' are {width} wide, those of "
                    f"'{recipe.experts[0].model}' {widths[0]}; expected the same"
                )
        count = len(recipe.experts)
        sizes = Sizes(count, recipe.chosen, widths[0], widths[count] if recipe.shared else 0)
        self._check_sizes(sizes)
        self.config = mixture_config(self.layout, config, sizes)
        self._check_config(config)
        self.names = self._kept_names()

    def _check_sizes(self, sizes: Sizes) -> None:
        layout = self.layout
        if layout.correction and sizes.shared % sizes.width:
            raise ValueError(
                f"the shared expert is {sizes.shared} wide, the experts {sizes.width}; expected a "
                f"multiple in the layout '{layout.name}'"
            )
        if self.corrected and sizes.experts < 2:
            raise ValueError(
                f"there is {sizes.experts} expert, expected at least 2 in the layout "
                f"'{layout.name}', whose router looks at the best two of a group"
            )

    @property
    def corrected(self) -> bool:
        """Whether its router has a correction for each expert, as DeepSeek-V3's."""
        return bool(self.layout.correction) and self.kind != "deepseek_v2"

    def _width(self, model: Checkpoint, expert: Expert) -> int:
        """The width of an expert's MLPs, all of whose matrices are there and fit."""
        config = model.config or {}
        if config.get("model_type") not in self.layout.takes:
            raise ValueError(
                f"{expert.where}: '{expert.model}' is of type '{config.get('model_type')}', "
                f"expected {' or '.join(self.layout.takes)} in the layout '{self.layout.name}'"
            )
        own = {key: config.get(key) for key in ("num_hidden_layers", "hidden_size")}
        if own != {"num_hidden_layers": self.layers, "hidden_size": self.width}:
            raise ValueError(
                f"{expert.where}: '{expert.model}' has {own['num_hidden_layers']} layers of width "
                f"{own['hidden_size']}, the base {self.layers} of {self.width}; expected the same"
            )
        width = 0
        for layer in range(self.layers):
            gate, up, down = (self._shape(model, expert, layer, part) for part in _PARTS)
            width = width or gate[0]
            if gate != (width, self.width) or up != gate or down != (self.width, width):
                raise ValueError(
                    f"{expert.where}: MLP of layer {layer} of '{expert.model}' has shapes "
                    f"{list(gate)}, {list(up)}, {list(down)}, expected [{width}, {self.width}] "
                    f"twice and [{self.width}, {width}]"
                )
        return width

    def _shape(self, model: Checkpoint, expert: Expert, layer: int, part: str) -> tuple[int, ...]:
        name = f"model.layers.{layer}.mlp.{part}.weight"
        if name.replace(".weight", ".bias") in model:
            raise ValueError(
                f"{expert.where}: '{expert.model}' has biases in its MLPs, which the layout "
                f"'{self.layout.name}' lacks"
            )
        if name not in model:
            raise ValueError(
                f"{expert.where}: '{expert.model}' has no tensor '{name}'; expected a dense model"
            )
        return tuple(model.info(name).shape)

    def _check_config(self, base: Mapping[str, Any]) -> None:
        """The mixture is read with the base's sizes, whatever its library takes by default."""
        before = _files.read_spec(json.dumps(base))
        after = _files.read_spec(json.dumps(self.config))
        same = (
            "n_layers",
            "d_model",
            "n_heads",
            "n_kv_heads",
            "d_head",
            "d_vocab",
            "n_ctx",
            "tied",
        )
        for key in same:
            if before[key] != after[key]:
                raise ValueError(
                    f"config.json of the base says {key} {before[key]}, the mixture's would say "
                    f"{after[key]}"
                )

    def _kept_names(self) -> list[str]:
        """Tensors of the base that the mixture takes over."""
        out = []
        for name in self.base:
            rest = name.partition("model.layers.")[2].partition(".")[2]
            if rest.startswith("mlp.") or name.endswith("rotary_emb.inv_freq"):
                continue
            if name.endswith("_scale_inv"):
                continue
            if rest and rest not in self.layout.kept:
                raise ValueError(
                    f"base_model '{self.recipe.base}' has a tensor '{name}', for which the layout "
                    f"'{self.layout.name}' has no place"
                )
            out.append(name)
        norms = HEAD_NORMS if self.config.get("use_qk_norm") else ()
        for layer in range(self.layers):
            for rest in (*self.layout.needed, *norms):
                if f"model.layers.{layer}.{rest}" not in self.base:
                    raise ValueError(
                        f"base_model '{self.recipe.base}' has no tensor 'model.layers.{layer}."
                        f"{rest}', which the layout '{self.layout.name}' needs"
                    )
        return out

    def blank_gates(self) -> dict[str, torch.Tensor]:
        """Gates of the right shapes, to plan with."""
        zeros = torch.zeros(self.layers, len(self.recipe.experts), self.width)
        return self._named(zeros, torch.zeros(self.layers, 1, self.width))

    def gates(self, seed: int, progress: bool) -> tuple[dict[str, torch.Tensor], list[float]]:
        """The routers' tensors, and how alike their rows are."""
        recipe = self.recipe
        place = self.places[recipe.base]
        folder = place[0] if isinstance(place, tuple) else place
        sizes = (self.layers, self.width)
        rows = gates(recipe, recipe.experts, folder, sizes, seed, "gate", progress)
        shared = rows[:, :0]
        if self.layout.shared_gate:
            shared = gates(recipe, recipe.shared, folder, sizes, seed, "shared gate", progress)
        return self._named(rows, shared), condition(rows)

    def _named(self, rows: torch.Tensor, shared: torch.Tensor) -> dict[str, torch.Tensor]:
        layout, out = self.layout, {}
        for layer in range(self.layers):
            out[layout.router(layer)] = rows[layer].contiguous()
            if layout.shared_gate:
                out[layout.at(layer, layout.shared_gate)] = shared[layer].contiguous()
            if self.corrected:
                zeros = torch.zeros(len(self.recipe.experts), dtype=torch.float32)
                out[layout.at(layer, layout.correction)] = zeros
        return out

    def assembly(self, seed: int, shard_size: int | str) -> Assembly:
        """Every tensor of the mixture, and where it is from."""
        dtype = self.recipe.dtype
        usual = dtype or self.base.info(self.names[0]).dtype
        named = {wire: name for name, wire in DTYPES.items()}
        key = "torch_dtype" if "torch_dtype" in self.config else "dtype"
        config = self.config | ({key: named[usual]} if usual in named else {})
        out = Assembly(self.places, self.recipe.base, config, seed, shard_size)
        done: set[int] = set()
        for name in self.names:
            out.take(name, self.recipe.base, name, dtype)
            layer = name.partition("model.layers.")[2].partition(".")[0]
            if layer and int(layer) not in done:
                done.add(int(layer))
                self._mlp(out, int(layer), usual)
        return out

    def _mlp(self, out: Assembly, layer: int, usual: str) -> None:
        recipe, layout = self.recipe, self.layout
        for name in self.blank_gates() if layer == 0 else ():
            wide = name.endswith(layout.correction) if layout.correction else False
            out.make(name, "F32" if wide else usual)
        for index, expert in enumerate(recipe.experts):
            for part in range(3):
                self._expert(out, layout.expert(layer, index, part), expert, layer, part)
        for expert in recipe.shared:
            for part in range(3):
                self._expert(out, layout.shared_expert(layer, part), expert, layer, part)

    def _expert(self, out: Assembly, name: str, expert: Expert, layer: int, part: int) -> None:
        source = f"model.layers.{layer}.mlp.{_PARTS[part]}.weight"
        factor = expert.residual if part == 2 else 1.0
        out.take(name, expert.model, source, self.recipe.dtype, factor, expert.noise)
