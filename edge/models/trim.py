"""Leaves out of a model's graph what the outputs that are wanted don't need.

- A runtime computes every node of its graph, whichever outputs it is asked for.
- What is wanted is computed by the same nodes as before.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx


def trimmed(path: Path, outputs: Sequence[str]) -> bytes:
    """Give a model that has some of a file's outputs only, in the order given."""
    whole = onnx.load(str(path))
    wanted, kept = set(outputs), []
    for node in reversed(whole.graph.node):  # each stands behind those whose values it reads
        if not wanted.isdisjoint(node.output):
            kept.append(node)
            wanted.update(_read_by(node))
    named = {item.name: item for item in whole.graph.output}
    model = onnx.ModelProto()
    model.CopyFrom(whole)
    for field in ("node", "output", "initializer"):
        model.graph.ClearField(field)
    model.graph.node.extend(reversed(kept))
    model.graph.output.extend(named[name] for name in outputs)
    model.graph.initializer.extend(item for item in whole.graph.initializer
                                   if item.name in wanted)
    return bytes(model.SerializeToString())


def _read_by(node: onnx.NodeProto) -> Iterator[str]:
    """Give the names that a node reads, itself or in a graph of its own."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from _read_by(inner)
            # What such a graph gives may be a value of the graph around it.
            yield from (item.name for item in graph.output)
