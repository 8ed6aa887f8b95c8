"""The tensors of a TorchScript archive, such as OpenAI's CLIP, without running any of it.

The archive is a zip with ``data.pkl``, which lists the modules and their tensors. Its instructions are disassembled
with ``pickletools`` and followed here for the few kinds that describe tensors; names of classes are never imported.
"""

import pickletools
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

_DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}
_MARK = object()


@dataclass(slots=True)
class _Module:
    """A module of the archive; only what it holds matters."""

    name: str
    held: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Name:
    """The name of a class or function, never imported."""

    path: str


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """The tensors of a TorchScript archive by name: parameters, buffers and tensors that are attributes.

    Raises:
        ValueError: an archive that is described by other means than tensors, modules and plain values.
    """
    with zipfile.ZipFile(path) as archive:
        described = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        root = _follow(archive.read(described), archive, described.removesuffix("data.pkl") + "data/")
    if not isinstance(root, _Module):
        raise ValueError("no module in the archive")
    return dict(_tensors(root, ""))


def _tensors(module: _Module, prefix: str) -> list[tuple[str, Tensor]]:
    found: list[tuple[str, Tensor]] = []
    for name, value in module.held.items():
        if isinstance(value, Tensor):
            found.append((prefix + name, value))
        elif isinstance(value, _Module):
            found += _tensors(value, f"{prefix}{name}.")
        elif name in ("input_resolution", "context_length", "vocab_size") and isinstance(value, int):
            found.append((prefix + name, torch.tensor(value)))
    return found


def _follow(instructions: bytes, archive: zipfile.ZipFile, data: str) -> object:
    """What the instructions describe. Any instruction that tensors do not need ends in ValueError."""
    stack: list[object] = []
    memo: dict[int, object] = {}

    def after_mark() -> list[object]:
        at = len(stack) - 1 - stack[::-1].index(_MARK)
        values = stack[at + 1 :]
        del stack[at:]
        return values

    for code, value, _ in pickletools.genops(instructions):
        match code.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                stack.append(_MARK)
            case "GLOBAL":
                stack.append(_Name(str(value).replace(" ", ".")))
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(code.name == "NEWTRUE")
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE" | "SHORT_BINUNICODE":
                stack.append(value)
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "TUPLE":
                stack.append(tuple(after_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(code.name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "BINPUT" | "LONG_BINPUT":
                memo[int(str(value))] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[int(str(value))])
            case "APPEND":
                _append(stack[-2], [stack.pop()])
            case "APPENDS":
                values = after_mark()
                _append(stack[-1], values)
            case "SETITEM":
                item, key = stack.pop(), stack.pop()
                _set(stack[-1], [key, item])
            case "SETITEMS":
                values = after_mark()
                _set(stack[-1], values)
            case "NEWOBJ":
                stack.pop()
                stack.append(_Module(_path(stack.pop())))
            case "BUILD":
                _set(stack[-2], [pair for item in _pairs(stack.pop()) for pair in item])
            case "BINPERSID":
                stack.append(_storage(stack.pop(), archive, data))
            case "REDUCE":
                arguments = stack.pop()
                stack.append(_made(_path(stack.pop()), arguments))
            case _:
                raise ValueError(f"an instruction {code.name} that tensors do not need")
    raise ValueError("the archive is cut short")


def _path(name: object) -> str:
    if not isinstance(name, _Name):
        raise ValueError("a call of something that is no name")
    return name.path


def _append(target: object, values: list[object]) -> None:
    if not isinstance(target, list):
        raise ValueError("values for something that is no list")
    target.extend(values)


def _set(target: object, values: list[object]) -> None:
    held = target.held if isinstance(target, _Module) else target
    if not isinstance(held, dict):
        raise ValueError("values for something that holds none")
    held.update(zip(values[::2], values[1::2], strict=True))


def _pairs(state: object) -> list[tuple[object, object]]:
    if not isinstance(state, dict):
        raise ValueError("a module whose values have no names")
    return list(state.items())


def _storage(described: object, archive: zipfile.ZipFile, data: str) -> Tensor:
    """The numbers of a storage, as one flat tensor."""
    match described:
        case ("storage", _Name(path), str(key), _, int(count)):
            dtype = _DTYPES[path.removeprefix("torch.")]
        case _:
            raise ValueError("a storage of another form")
    if not count:
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(bytearray(archive.read(data + key)), dtype=dtype, count=count)


def _made(path: str, arguments: object) -> object:
    match path, arguments:
        case "torch._utils._rebuild_tensor_v2", (Tensor() as storage, int(offset), tuple(size), tuple(stride), *_):
            return torch.as_strided(storage, size, stride, offset)
        case "torch._utils._rebuild_parameter", (Tensor() as tensor, *_):
            return tensor
        case "collections.OrderedDict", ():
            return {}
        case _:
            # TorchScript wraps typed lists and dictionaries in functions of its own. None of them is a tensor.
            return arguments[0] if isinstance(arguments, tuple) and arguments else None
