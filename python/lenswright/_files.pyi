"""
Lenswright's files: checkpoints read, written and compared, without torch.
"""
from __future__ import annotations
import collections.abc
import os
import pathlib
import typing
import typing_extensions
__all__: list[str] = ['Cancelled', 'Checkpoint', 'CheckpointError', 'Distance', 'FileWriter', 'FolderWriter', 'Glob', 'Header', 'MergePlan', 'Philox', 'TensorBytes', 'TensorChange', 'TensorCheck', 'TensorInfo', 'assign', 'compare', 'compare_json', 'decoder_rows', 'dtypes', 'families', 'make_header', 'merge_methods', 'missing_tensors', 'parse_header', 'parse_index', 'parse_json', 'plan_assembly', 'plan_merge', 'quantised_tensors', 'read_spec', 'recipe_models', 'sha256', 'task_statistics']
class CheckpointError(ValueError):
    """
    A checkpoint that is not what it claims to be.

    Attributes:
        flaw: what is wrong, in a word: truncated, header_length, encoding, syntax, entry, dtype,
            overflow, size, offsets, trailing, duplicate, limit, form, index, path, pickle, layout
            or changed.
        file: the file, or the folder when no single file is at fault.
        tensor: the tensor's name, or None.
        offset: the byte in the file, or None.
    """
class Cancelled(Exception):
    """
    A progress callback returned False.
    """
class TensorInfo:
    """
    What a header says of a tensor.
    """
    def __repr__(self) -> str:
        ...
    @property
    def begin(self) -> int:
        """
        First byte, from the start of the file.
        """
    @property
    def dtype(self) -> str:
        """
        The format's name of the element type: F32, BF16, F8_E4M3, BOOL …
        """
    @property
    def end(self) -> int:
        ...
    @property
    def file(self) -> typing.Any:
        """
        The shard's file name.
        """
    @property
    def name(self) -> str:
        ...
    @property
    def nbytes(self) -> int:
        ...
    @property
    def numel(self) -> int:
        ...
    @property
    def shape(self) -> tuple:
        ...
class Header:
    """
    The header of one file.
    """
    @property
    def data_start(self) -> int:
        ...
    @property
    def file_size(self) -> int:
        ...
    @property
    def metadata(self) -> dict:
        ...
    @property
    def tensors(self) -> list[TensorInfo]:
        """
        In the order of their bytes.
        """
    @property
    def trailing_bytes(self) -> int:
        """
        Bytes after the last tensor that lenient reading let pass.
        """
class Glob:
    """
    A pattern for names: ``*``, ``?``, ``[a-z]``, ``[!a-z]``, ``{a,b}``, ``{0..5}``; ``\\`` takes the next character literally.

    Raises:
        ValueError: a malformed pattern.
    """
    def __init__(self, pattern: str) -> None:
        ...
    def __repr__(self) -> str:
        ...
    def matches(self, name: str) -> bool:
        ...
    @property
    def pattern(self) -> str:
        ...
class TensorBytes:
    """
    The bytes of a tensor, mapped privately: writing changes this process only.
    """
    def __len__(self) -> int:
        ...
    @property
    def address(self) -> int:
        ...
class TensorCheck:
    """
    What reading every byte of a tensor showed.
    """
    @property
    def infinite(self) -> int:
        ...
    @property
    def name(self) -> str:
        ...
    @property
    def not_a_number(self) -> int:
        ...
    @property
    def sha256(self) -> str:
        ...
class Checkpoint:
    """
    A checkpoint folder or .safetensors file whose headers have been validated.

    Raises:
        CheckpointError: the files are not what they claim to be.
        FileNotFoundError: nothing is at `path`.
    """
    def __contains__(self, arg0: str) -> bool:
        ...
    def __init__(self, path: os.PathLike | str | bytes, lenient: bool = False) -> None:
        ...
    def __len__(self) -> int:
        ...
    def config_text(self) -> str:
        """
        config.json, with every number spelt as in the file.
        """
    def data(self, name: str) -> TensorBytes:
        ...
    def header(self, shard: os.PathLike | str | bytes) -> Header:
        ...
    def header_bytes(self, shard: os.PathLike | str | bytes) -> bytes:
        ...
    def info(self, name: str) -> TensorInfo:
        ...
    def other_files(self) -> list:
        ...
    def unused_weights(self) -> list:
        ...
    def verify(self, progress: typing.Any = None, threads: typing.SupportsInt | typing.SupportsIndex = 0) -> list[TensorCheck]:
        """
        Read every byte; return one TensorCheck per tensor.
        """
    @property
    def folder(self) -> pathlib.Path:
        ...
    @property
    def has_config(self) -> bool:
        ...
    @property
    def index_name(self) -> typing.Any:
        ...
    @property
    def names(self) -> list[str]:
        ...
    @property
    def path(self) -> pathlib.Path:
        ...
    @property
    def shards(self) -> list:
        ...
    @property
    def tensors(self) -> list[TensorInfo]:
        ...
    @property
    def trailing_bytes(self) -> int:
        ...
class FileWriter:
    """
    Writes one .safetensors file, which appears under its name in finish(), or not at all.

    Args:
        path: the file; must not exist.
        tensors: (name, dtype, shape) in the order of their bytes.
        metadata: strings by name.
    """
    def __init__(self, path: os.PathLike | str | bytes, tensors: collections.abc.Sequence[tuple[str, str, collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]]], metadata: dict = {}) -> None:
        ...
    def abandon(self) -> None:
        ...
    def copy(self, name: str, checkpoint: Checkpoint, source: str | None = None, progress: typing.Any = None) -> None:
        """
        Copy a whole tensor (`source`, default the same name) from the files of a checkpoint.
        """
    def finish(self) -> None:
        ...
    def write(self, name: str, offset: typing.SupportsInt | typing.SupportsIndex, buffer: typing_extensions.Buffer) -> None:
        """
        Write bytes of a tensor from `offset` on; from any thread, no byte twice.
        """
    @property
    def tensors(self) -> list[TensorInfo]:
        ...
class FolderWriter:
    """
    Writes a checkpoint folder, which appears whole in commit(), or not at all; a context manager.

    Args:
        target: the folder; must not exist, its parent must.
        inputs: folders that `target` may not be equal to, inside or around.
    """
    def __enter__(self) -> FolderWriter:
        ...
    def __exit__(self, *args) -> None:
        ...
    def __init__(self, target: os.PathLike | str | bytes, inputs: collections.abc.Sequence[os.PathLike | str | bytes] = []) -> None:
        ...
    def abandon(self) -> None:
        ...
    def commit(self, progress: typing.Any = None) -> None:
        ...
    def copy_file(self, source: os.PathLike | str | bytes, name: str = '') -> None:
        ...
    def shard(self, name: str, tensors: collections.abc.Sequence[tuple[str, str, collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]]], metadata: dict = {}) -> FileWriter:
        ...
    def shard_like(self, name: str, header: bytes) -> FileWriter:
        """
        A shard whose header is taken over byte for byte.
        """
    def write_index(self, name: str = 'model.safetensors.index.json') -> None:
        ...
    def write_text(self, name: str, text: str) -> None:
        ...
class Distance:
    """
    How far two tensors are apart, in float64.
    """
    @property
    def cosine(self) -> float:
        ...
    @property
    def different(self) -> int:
        ...
    @property
    def elements(self) -> int:
        ...
    @property
    def max_abs(self) -> float:
        ...
    @property
    def not_a_number(self) -> int:
        ...
    @property
    def relative(self) -> float:
        """
        |b - a| / |a|, Frobenius.
        """
class TensorChange:
    """
    A tensor in two checkpoints.
    """
    @property
    def a(self) -> TensorInfo | None:
        ...
    @property
    def b(self) -> TensorInfo | None:
        ...
    @property
    def distance(self) -> Distance | None:
        ...
    @property
    def kind(self) -> str:
        """
        same, changed, dtype, shape, only_a or only_b
        """
    @property
    def name(self) -> str:
        ...
class MergePlan:
    """
    All that a merge will do, checked before the first byte.
    """
    def memory(self, threads: typing.SupportsInt | typing.SupportsIndex = 0, limit: typing.SupportsInt | typing.SupportsIndex = 0) -> int:
        """
        Private memory that running takes at most, in bytes; ValueError where `limit` is too little.
        """
    def run(self, output: os.PathLike | str | bytes, files: collections.abc.Sequence[tuple[str, str]], progress: typing.Any = None, threads: typing.SupportsInt | typing.SupportsIndex = 0, resume: bool = False, memory: typing.SupportsInt | typing.SupportsIndex = 0) -> list:
        """
        Write the folder; return (tensor, elements not finite, remark) where there is something to say.
        """
    def run_in_memory(self, progress: typing.Any = None, threads: typing.SupportsInt | typing.SupportsIndex = 0) -> tuple:
        """
        Return [(name, dtype, shape, bytes)] and what run() returns.
        """
    @property
    def config_text(self) -> str:
        ...
    @property
    def donor(self) -> str:
        ...
    @property
    def fingerprint(self) -> str:
        """
        A hexadecimal number of all that decides what is written: the plan and its input files.
        """
    @property
    def jobs(self) -> list:
        """
        (name, dtype, shape, method, [(model, tensor, parameters)], parameters, base) of every output tensor.
        """
    @property
    def notes(self) -> list[str]:
        ...
    @property
    def read_bytes(self) -> int:
        ...
    @property
    def shards(self) -> list[str]:
        ...
    @property
    def unused(self) -> list[tuple[str, str, str]]:
        """
        (model, tensor, why) of input tensors that are in no output tensor.
        """
    @property
    def write_bytes(self) -> int:
        ...
class Philox:
    """
    Random numbers by place: the value at an index depends on (seed, stream, index) alone.

    Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32-10).
    """
    def __init__(self, seed: typing.SupportsInt | typing.SupportsIndex, stream: str) -> None:
        ...
    def normal(self, index: typing.SupportsInt | typing.SupportsIndex) -> float:
        """
        Standard normal.
        """
    def uniform(self, index: typing.SupportsInt | typing.SupportsIndex) -> float:
        """
        Uniform in [0, 1), 53 bits.
        """
    def word(self, index: typing.SupportsInt | typing.SupportsIndex) -> int:
        """
        A 32-bit word.
        """
def assign(cost: typing_extensions.Buffer, n: typing.SupportsInt | typing.SupportsIndex) -> list[int]:
    """
    The column of each row in the assignment of least cost; `cost` is float64 [n, n].
    """
def compare(a: Checkpoint, b: Checkpoint, progress: typing.Any = None, threads: typing.SupportsInt | typing.SupportsIndex = 0) -> list[TensorChange]:
    """
    Compare two checkpoints tensor by tensor.
    """
def compare_json(a: str, b: str) -> list[tuple[str, str, str]]:
    """
    Keys whose values differ: (path, text in a, text in b), with "" where there is none.
    """
def decoder_rows(config: str, shapes: collections.abc.Mapping[str, collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]]) -> dict:
    """
    Where the weights of a decoder lie in plain tensors {name: shape}: {rows: [(canonical, source, whether it lies [inputs, outputs], outputs, inputs, start, run, distance, expert or -1)], others: tensors of towers and of layers that are not run}, and the sizes that say what axes the weights have; ValueError where a tensor is missing, unknown or of another shape.
    """
def dtypes() -> list[tuple[str, int]]:
    """
    Every element type of the format with its bits.
    """
def families() -> list[str]:
    """
    The architectures that can be loaded, by config.json's name for them.
    """
def make_header(tensors: collections.abc.Sequence[tuple[str, str, collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]]], metadata: dict = {}) -> bytes:
    """
    The header (without the length before it) of a file with these tensors.
    """
def merge_methods() -> list:
    """
    Every method with its parameters.
    """
def missing_tensors(checkpoint: Checkpoint) -> list[str]:
    """
    Tensors that the family needs and this checkpoint lacks.
    """
def parse_header(buffer: typing_extensions.Buffer, file_size: typing.SupportsInt | typing.SupportsIndex | None = None, file: str = 'buffer', lenient: bool = False) -> Header:
    """
    Validate the header at the start of `buffer` as that of a file of `file_size` bytes.
    """
def parse_index(text: str, file: str = 'model.safetensors.index.json') -> list[tuple[str, str]]:
    """
    Validate the index of a sharded checkpoint; return (tensor, shard) pairs.
    """
def parse_json(text: str, where: str = 'text', indent: typing.SupportsInt | typing.SupportsIndex = -1) -> str:
    """
    Parse strict JSON and write it out again.
    """
def plan_assembly(inputs: list, donor: str, pieces: collections.abc.Sequence[tuple[str, str, str, str, typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex]], config: str, seed: typing.SupportsInt | typing.SupportsIndex = 0, shard_bytes: typing.SupportsInt | typing.SupportsIndex = 5000000000) -> MergePlan:
    """
    Plan a model put together: inputs as of plan_merge, and (name, model, tensor, dtype or "" as stored, scale, noise) of every tensor.
    """
def plan_merge(document: str, where: str, inputs: list, mode: str = 'strict', seed: typing.SupportsInt | typing.SupportsIndex = 0, shard_bytes: typing.SupportsInt | typing.SupportsIndex = 5000000000, mix: bool = False, vocabulary: str = '', solver: collections.abc.Callable | None = None) -> MergePlan:
    """
    Plan a merge: a document of the grammar as JSON, and (name, path | (path, adapter) | MergePlan | tensors | (tensors, config.json)) of every model it names. solver(tensor, inputs, out) computes what whole tensors make, all as bytes of float64.
    """
def quantised_tensors(checkpoint: Checkpoint) -> dict:
    """
    {name: (form, its codes' name, its scales', its shape)} of what is stored quantised; ValueError where it is not as it should be.
    """
def read_spec(config: str) -> dict:
    """
    The sizes that the text of a config.json gives; ValueError where loading would refuse it.
    """
def recipe_models(document: str, where: str) -> list[str]:
    """
    Check a document by itself; return its models.
    """
def sha256(buffer: typing_extensions.Buffer) -> str:
    """
    The SHA-256 of a contiguous buffer, in hexadecimal.
    """
def task_statistics(base: os.PathLike | str | bytes, models: collections.abc.Sequence[os.PathLike | str | bytes], progress: typing.Any = None, threads: typing.SupportsInt | typing.SupportsIndex = 0) -> list:
    """
    (tensor, elements, norm of the base, norms, changed, densities, cosines of pairs, shared, conflicts) of every tensor that all have.
    """
