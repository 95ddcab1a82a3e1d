"""Reads dlib's serialised form: numbers, tensors, networks, shape predictors.

- Integers: a control byte (bit 7 sign, low four bits the length), then little-endian
  magnitude. Floats: mantissa and exponent as integers. (dlib/serialize.h)
- A network is its loss, one version integer a layer from the outermost inwards, the input
  layer, then the layers' details from the innermost outwards (dlib/dnn/core.h).
- Whatever isn't expected is a `PackError`; the end of the file must be reached exactly.
- Not here: what to do with the weights.
"""

import math
import struct

import msgspec
import numpy as np
import numpy.typing as npt

from edge.errors import PackError

Tensor = npt.NDArray[np.float32]
LAYERS_MAX = 1_000
_ADD_LAYER, _TAG_OR_SKIP, _INNERMOST = 2, 1, 3
_SPECIAL = {32000: math.inf, 32001: -math.inf, 32002: math.nan}


class Layer(msgspec.Struct, frozen=True):
    """One layer: its kind, numbers and parameters.

    Attributes:
        kind: `con`, `affine`, `bn`, `relu`, `max_pool`, `avg_pool`, `fc`, `add_prev`,
            `tag1`, `tag2` or `skip1`.
        numbers: `con`: filters, kernel h, w, stride y, x, padding y, x. Pools: window h, w
            (0 = whole), stride y, x, padding y, x. `fc`: outputs.
        params: Flat parameters; `bn`: gamma, beta, means, variances one after the other.
        eps: Of `bn`.
    """

    kind: str
    numbers: tuple[int, ...] = ()
    params: Tensor | None = None
    eps: float = 0.0


class Network(msgspec.Struct, frozen=True):
    """A network from its input outwards.

    Attributes:
        loss: Its loss' fields as read.
        mean: Mean of red, green, blue taken from the input (divided by 256 afterwards).
        layers: Innermost first.
    """

    loss: tuple[float, ...]
    mean: tuple[float, float, float]
    layers: tuple[Layer, ...]


class Stream:
    """A cursor over one file."""

    def __init__(self, data: bytes, name: str) -> None:
        """Begin at the start of `data`, which came from the file `name`."""
        self._data = data
        self._name = name
        self._at = 0

    def fail(self, what: str) -> PackError:
        """Give the error for something unexpected here."""
        return PackError(f"{self._name}: {what} at byte {self._at}: the file isn't the known one")

    def int_(self) -> int:
        """Read an integer."""
        data, at = self._data, self._at
        control = data[at]
        end = at + 1 + (control & 0x0F)
        value = int.from_bytes(data[at + 1 : end], "little")
        self._at = end
        return -value if control & 0x80 else value

    def float_(self) -> float:
        """Read a float or double."""
        mantissa, exponent = self.int_(), self.int_()
        return _SPECIAL[exponent] if exponent in _SPECIAL else math.ldexp(mantissa, exponent)

    def floats(self, count: int) -> list[float]:
        """Read a run of floats."""
        return [self.float_() for _ in range(count)]

    def bool_(self) -> bool:
        """Read a boolean."""
        value = self._data[self._at : self._at + 1]
        if value not in (b"0", b"1"):
            raise self.fail("a boolean was expected")
        self._at += 1
        return value == b"1"

    def string(self) -> str:
        """Read a string."""
        length = self.int_()
        if not 0 <= length <= 256:
            raise self.fail("a name was expected")
        self._at += length
        return self._data[self._at - length : self._at].decode("ascii", "replace")

    def matrix(self) -> list[float]:
        """Read a matrix' elements row by row."""
        rows, columns = -self.int_(), -self.int_()
        return self.floats(rows * columns)

    def tensor(self) -> Tensor:
        """Read a tensor's raw float32, flat."""
        if self.int_() != 2:
            raise self.fail("a tensor was expected")
        size = math.prod(self.int_() for _ in range(4))
        end = self._at + 4 * size
        if end > len(self._data):
            raise self.fail("a tensor is cut off")
        values = np.frombuffer(self._data, "<f4", size, self._at)
        self._at = end
        return values.astype(np.float32)

    def alias(self) -> None:
        """Read past an alias tensor."""
        if self.int_() != 1:
            raise self.fail("an alias was expected")
        for _ in range(4):
            self.int_()

    def end(self) -> None:
        """Insist on the end of the file."""
        if self._at != len(self._data):
            raise self.fail("something follows the model")


def read_network(data: bytes, name: str) -> Network:
    """Read a whole network.

    Raises:
        PackError: It isn't of a form known here.
    """
    stream = Stream(data, name)
    try:
        if stream.int_() != 1:
            raise stream.fail("a loss layer was expected")
        loss = _read_loss(stream)
        versions = _read_versions(stream)
        mean = _read_input(stream)
        layers = _read_layers(stream, versions)
        stream.end()
    except (IndexError, struct.error, ValueError) as error:
        raise PackError(f"{name}: the file is cut off or damaged") from error
    return Network(loss, mean, tuple(layers))


def _read_loss(stream: Stream) -> tuple[float, ...]:
    name = stream.string()
    if name == "loss_metric_2":
        return (stream.float_(), stream.float_())
    if name == "loss_mmod_" and stream.int_() == 1:
        window = (float(stream.int_()), float(stream.int_()))
        # False alarm, missed target, truth overlap; then overlap and cover of NMS and ignore.
        return (*window, *stream.floats(7))
    raise stream.fail("an unknown loss")


def _read_versions(stream: Stream) -> list[int]:
    versions: list[int] = []
    while len(versions) < LAYERS_MAX:
        version = stream.int_()
        if version not in (_ADD_LAYER, _TAG_OR_SKIP, _INNERMOST):
            raise stream.fail("an unknown layer version")
        versions.append(version)
        if version == _INNERMOST:
            return versions[::-1]
    raise stream.fail("too many layers")


def _read_input(stream: Stream) -> tuple[float, float, float]:
    name = stream.string()
    mean = (stream.float_(), stream.float_(), stream.float_())
    if name == "input_rgb_image_sized":
        _ = (stream.int_(), stream.int_())
    elif name != "input_rgb_image_pyramid":
        raise stream.fail("an unknown input layer")
    return mean


def _read_layers(stream: Stream, versions: list[int]) -> list[Layer]:
    """Read details innermost first; tags and skips have none.

    A lone tag or skip is `tag1`; of two neighbours the inner is `tag2`, the outer `skip1`.
    """
    layers: list[Layer] = []
    for index, version in enumerate(versions):
        if version == _TAG_OR_SKIP:
            if versions[index - 1] == _TAG_OR_SKIP:
                layers.append(Layer("skip1"))
            else:
                lone = index + 1 == len(versions) or versions[index + 1] != _TAG_OR_SKIP
                layers.append(Layer("tag1" if lone else "tag2"))
            continue
        layers.append(_read_details(stream))
        for _ in range(3):
            stream.bool_()
        for _ in range(3):
            stream.tensor()
        if version == _INNERMOST:
            stream.int_()
    return layers


def _read_details(stream: Stream) -> Layer:
    name = stream.string()
    if name in ("con_4", "con_5", "con_6"):
        params = stream.tensor()
        numbers = tuple(stream.int_() for _ in range(7))
        _skip_aliases(stream)
        stream.floats(4)
        for _ in range(int(name[-1]) - 4):
            stream.bool_()
        return Layer("con", numbers, params)
    if name in ("affine_", "affine_2"):
        params = stream.tensor()
        _skip_aliases(stream)
        stream.int_()
        if name == "affine_2":
            stream.bool_()
        return Layer("affine", (), params)
    if name == "bn_con2":
        return _read_batch_norm(stream)
    if name == "fc_2":
        numbers = (stream.int_(), stream.int_())
        params = stream.tensor()
        _skip_aliases(stream)
        stream.int_()
        stream.floats(4)
        return Layer("fc", numbers[:1], params)
    if name in ("max_pool_2", "avg_pool_2"):
        return Layer(name[:-2], tuple(stream.int_() for _ in range(6)))
    if name in ("relu_", "add_prev_"):
        return Layer(name[:-1])
    raise stream.fail(f"an unknown layer {name!r}")


def _read_batch_norm(stream: Stream) -> Layer:
    params = stream.tensor()
    _skip_aliases(stream)
    _ = (stream.tensor(), stream.tensor())
    means, variances = stream.tensor(), stream.tensor()
    _ = (stream.int_(), stream.int_())
    stream.floats(4)
    eps = stream.float_()
    return Layer("bn", (), np.concatenate([params, means, variances]), eps)


def _skip_aliases(stream: Stream) -> None:
    stream.alias()
    stream.alias()
