#!/usr/bin/env python3
"""The mean of adapters that were learned one from the other, or at several steps of one run: often better than each.

    mean_adapter.py OUT.gguf ADAPTER.gguf[=WEIGHT]...

They must change the same matrices with the same rank, or be whole models of the same shape (f32, f16, bf16); weights
(1) count as shares of their sum. Changes and scalers are averaged, all else is the last one's. Needs numpy and gguf.
"""
import sys

import numpy
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType
from gguf.quants import dequantize, quantize

TYPES = (GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.BF16)


def fail(text):
    sys.stderr.write(f"mean_adapter.py: {text}\n")
    sys.exit(2)


def parse(argument):
    path, _, weight = argument.partition("=")
    try:
        return GGUFReader(path), float(weight or 1)
    except (OSError, ValueError) as error:
        fail(f"{argument}: {error}")


def main():
    files = sys.argv[1:]
    if len(files) < 3:
        fail("usage: mean_adapter.py OUT.gguf ADAPTER.gguf[=WEIGHT] ADAPTER.gguf[=WEIGHT]...")
    readers, weights = zip(*map(parse, files[1:]))
    if min(weights) < 0 or sum(weights) == 0:
        fail("weights must be 0 or more, and not all 0")
    last = readers[-1]
    for reader in readers:
        if [(t.name, list(t.shape), t.tensor_type) for t in reader.tensors] != [(t.name, list(t.shape), t.tensor_type) for t in last.tensors]:
            fail("the adapters change other matrices, or with another rank")
    out = bytearray(numpy.memmap(files[-1].partition("=")[0], mode="r"))

    def mean(parts):
        return sum(w * numpy.asarray(part, dtype=numpy.float64) for w, part in zip(weights, parts)) / sum(weights)

    for i, tensor in enumerate(last.tensors):
        kind = tensor.tensor_type
        if kind not in TYPES:
            fail(f"{tensor.name}: only f32, f16 and bf16 can be averaged")
        values = mean([dequantize(reader.tensors[i].data, kind) for reader in readers]).astype(numpy.float32)
        values = quantize(values, kind)
        out[tensor.data_offset:tensor.data_offset + values.nbytes] = values.tobytes()
    for name, field in last.fields.items():
        if not name.startswith("leyden.scaler.") or GGUFValueType.FLOAT32 not in field.types and GGUFValueType.FLOAT64 not in field.types:
            continue
        arrays = [reader.fields[name] for reader in readers]
        for j, index in enumerate(field.data):
            part = field.parts[index]
            values = mean([a.parts[a.data[j]] for a in arrays]).astype(part.dtype)
            at = part.ctypes.data - last.data.ctypes.data
            out[at:at + values.nbytes] = values.tobytes()
    with open(files[0], "wb") as file:
        file.write(out)


main()
