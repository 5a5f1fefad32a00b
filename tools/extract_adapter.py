#!/usr/bin/env python3
"""An adapter out of a whole model that was trained on: what it has become, less what it was, with a low rank.

    extract_adapter.py BASE.gguf TRAINED.gguf OUT.gguf [--rank 64] [--type f16]

BASE is the model that the adapter will be for, quantised or not; TRAINED has the same matrices (`leyden adapt --train
matrices`, or all, from a merged adapter or from BASE). Of the change of each matrix the largest singular values are kept; scalers and
hardware come along. Adapters hold matrices of layers alone: what norms and embeddings have learned is said and left behind.
Needs numpy and gguf.
"""
import argparse
import sys

import numpy
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
from gguf.quants import dequantize, quantize


def fail(text):
    sys.stderr.write(f"extract_adapter.py: {text}\n")
    sys.exit(2)


def open_model(path):
    try:
        reader = GGUFReader(path)
    except (OSError, ValueError) as error:
        fail(f"{path}: {error}")
    return reader, {tensor.name: tensor for tensor in reader.tensors}


def values(tensor):
    return dequantize(tensor.data, tensor.tensor_type).astype(numpy.float64)


def low_rank(change, rank):
    """A (rank, inputs) and B (outputs, rank) with B A next to the change; both have the same share of each value.
    Smaller matrices get zeros: an adapter has one alpha, so all must be of one rank."""
    u, s, v = numpy.linalg.svd(change, full_matrices=False)
    n = min(rank, len(s))
    a, b = numpy.zeros((rank, change.shape[1])), numpy.zeros((change.shape[0], rank))
    a[:n] = numpy.sqrt(s[:n])[:, None] * v[:n]
    b[:, :n] = u[:, :n] * numpy.sqrt(s[:n])
    return a, b, s


def copy_keys(writer, reader):
    """Scalers and the hardware they are for."""
    for name, field in reader.fields.items():
        if name.startswith("leyden."):
            kind = field.types[0]
            sub = field.types[-1] if kind == GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), kind, sub)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("base")
    parser.add_argument("trained")
    parser.add_argument("out")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--type", choices=["f32", "f16", "q8_0"], default="f16")
    args = parser.parse_args()
    if args.rank < 1 or (args.type == "q8_0" and args.rank % 32):
        fail("--rank must be 1 or more, of q8_0 a multiple of 32")
    reader, base = open_model(args.base)
    trained_reader, trained = open_model(args.trained)
    if base.keys() != trained.keys():
        fail("the two models have other tensors")
    kind = GGMLQuantizationType[args.type.upper()]
    architecture = reader.fields["general.architecture"].contents()
    writer = GGUFWriter(args.out, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", args.rank)
    if "general.name" in reader.fields:
        writer.add_string("general.base_model.0.name", reader.fields["general.name"].contents())
    copy_keys(writer, trained_reader)
    kept = total = 0.0
    for name, tensor in base.items():
        change = values(trained[name]) - values(tensor)
        if not name.startswith("blk.") or change.ndim != 2:
            size = numpy.sqrt((change ** 2).sum() / (values(tensor) ** 2).sum())
            if size > 0:
                print(f"left behind: {name}, changed by {100 * size:.2g} % of its length", file=sys.stderr)
            continue
        a, b, s = low_rank(change, args.rank)
        kept += (s[:args.rank] ** 2).sum()
        total += (s ** 2).sum()
        for letter, part in (("a", a), ("b", b)):
            data = quantize(numpy.ascontiguousarray(part, dtype=numpy.float32), kind)
            writer.add_tensor(f"{name}.lora_{letter}", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"rank {args.rank} keeps {100 * kept / max(total, 1e-300):.2f} % of the changes' squares", file=sys.stderr)


main()
