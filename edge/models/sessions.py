"""The one owner of ONNX Runtime: opens models, runs them, quantises them.

- One thread an inference by default: a node has few cores and several gates, and threads
  of the runtime must not fight with our own.
- A `Runner` is safe to call from several threads; foreign errors become `PackError`.
"""

import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.calibrate import (
    TensorData,
    TensorsData,
    load_tensors_data,
    save_tensors_data,
)

from edge.errors import PackError
from edge.models.trim import trimmed

Array = npt.NDArray[Any]


Dimension = int | str | None
"""Of a model's tensor; a word or None = any size."""
Ranges = dict[str, tuple[float, float]]
"""Lowest and highest value, by tensor."""


class Runner:
    """One loaded model with one input.

    Attributes:
        name: Of its file.
        input_shape: Shape of the input.
        input_type: Its element type, in the runtime's words (`tensor(float)`).
        outputs: Names and shapes of the outputs.
    """

    def __init__(
        self, path: Path, threads: int = 1, outputs: Sequence[str] | None = None
    ) -> None:
        """Load a model file.

        Args:
            path: Of the file.
            threads: Of one inference.
            outputs: Those to compute, in the order to give them in; None = all, in the model's.

        Raises:
            PackError: The runtime refuses it, or it has several inputs.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path) if outputs is None else trimmed(path, outputs), options,
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:
            raise PackError(f"{path}: ONNX Runtime can't load it: it isn't a whole ONNX model, or "
                            "needs a newer ONNX Runtime") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise PackError(f"{path}: a model with one input was expected, it has {len(inputs)}")
        self.name = path.name
        self.input_shape: tuple[Dimension, ...] = tuple(inputs[0].shape)
        self.input_type: str = inputs[0].type
        self.outputs: dict[str, tuple[Dimension, ...]] = {
            item.name: tuple(item.shape) for item in self._session.get_outputs()
        }
        self._input = inputs[0].name
        self._names = list(self.outputs)

    def run_all(self, values: Array) -> tuple[list[Array], float]:
        """Run once.

        Returns:
            The outputs in the model's order, and the seconds that the runtime took.

        Raises:
            PackError: The model can't take this input.
        """
        start = time.perf_counter()
        try:
            outputs: list[Array] = self._session.run(self._names, {self._input: values})
        except Exception as error:
            raise PackError(f"{self.name} fails on an input of shape {values.shape}: it isn't of "
                            "the form that the pack's manifest says") from error
        return outputs, time.perf_counter() - start

    def trial(self, values: Array) -> list[Array]:
        """Run once and give the outputs.

        Raises:
            PackError: The model can't take this input, or gives what isn't numbers.
        """
        outputs, _ = self.run_all(values)
        if not all(np.isfinite(output).all() for output in outputs):
            raise PackError(f"{self.name} gives values that aren't numbers: its weights are bad")
        return outputs

    def run(self, values: Array) -> tuple[Array, float]:
        """Run once and give the first output, and the seconds that the runtime took."""
        outputs, seconds = self.run_all(values)
        return outputs[0], seconds


class _Chips(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, chips: Sequence[Array]) -> None:
        self._chips: Iterator[Array] = iter(chips)

    def get_next(self) -> dict[str, Array] | None:
        chip = next(self._chips, None)
        return None if chip is None else {"pixels": chip}


def measure_ranges(source: Path, chips: Sequence[Array]) -> Ranges:
    """Run a float32 model and note the lowest and highest value of every tensor.

    Args:
        source: The model.
        chips: Its inputs, uint8, (1, side, side, 3) each.

    Raises:
        PackError: The model can't be run so.
    """
    with tempfile.TemporaryDirectory(prefix="kanhe-ranges-") as name:
        cache = Path(name) / "ranges.json"
        _quantise(source, Path(name) / "int8.onnx", cache, _Chips(chips))
        found = load_tensors_data(cache)
    return {tensor: (float(np.min(data.lowest)), float(np.max(data.highest)))
            for tensor, data in sorted(found.items(), key=lambda item: (len(item[0]), item[0]))}


def quantise(source: Path, target: Path, ranges: Ranges) -> None:
    """Quantise a model to int8 (U8 activations, S8 weights, per channel, QOperator).

    Args:
        source: The float32 model.
        target: Where the int8 model goes.
        ranges: Of its tensors.

    Raises:
        PackError: The quantiser failed.
    """
    known = {tensor: TensorData(lowest=np.float32(low), highest=np.float32(high))
             for tensor, (low, high) in ranges.items()}
    with tempfile.TemporaryDirectory(prefix="kanhe-ranges-") as name:
        cache = Path(name) / "ranges.json"
        save_tensors_data(TensorsData(CalibrationMethod.MinMax, known), cache)
        _quantise(source, target, cache, None)


def _quantise(source: Path, target: Path, cache: Path, chips: _Chips | None) -> None:
    """Quantise by the ranges in a cache, which is filled from chips if it isn't there."""
    # The quantiser advises on the root logger about graphs it wasn't given time to optimise.
    logging.disable(logging.WARNING)
    try:
        quantize_static(
            str(source), str(target), chips, quant_format=QuantFormat.QOperator,
            per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            calibration_cache_path=cache,
        )
    except Exception as error:
        raise PackError(f"{source.name} can't be quantised") from error
    finally:
        logging.disable(logging.NOTSET)


def has_vnni() -> bool:
    """Tell whether this processor multiplies int8 without saturating (VNNI)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return bool({"avx512_vnni", "avx_vnni"} & set(flags.split()))


def as_pixels(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Give a picture as a batch of one, contiguous."""
    return np.ascontiguousarray(picture[None])
