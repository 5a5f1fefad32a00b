#!/usr/bin/env python3
# make_block_goldens.py - blocks of every GGUF number format and their values, by the gguf package
#
# usage: tools/make_block_goldens.py [tests/golden/block]
#
# Needs numpy and gguf (tests do not: the results are in the repository). Writes <TYPE>.blocks, bytes
# as a file holds them, and <TYPE>.f32, their values; encode.f32 and encode.<TYPE>, values and what
# they are stored as. Bits are random, with scales at the edges of half precision among them.
import sys
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize

N_WEIGHTS = 1024  # of each format
SCALES = {  # byte offsets of the half-precision numbers in a block
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "F16": [0], "BF16": [],
}
EDGES = np.array([0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0x3C00, 0xBC00], np.uint16)


def blocks_of(random, name):
    n_weights, n_bytes = GGML_QUANT_SIZES[Type[name]]
    blocks = random.integers(0, 256, (N_WEIGHTS // n_weights, n_bytes)).astype(np.uint8)
    for offset in SCALES[name]:
        scale = random.standard_normal(len(blocks)).astype(np.float16).view(np.uint16)
        scale[: len(EDGES)] = EDGES[: len(scale)]
        blocks[:, offset : offset + 2] = scale.view(np.uint8).reshape(-1, 2)
    if name == "BF16":  # keep to finite numbers
        blocks[:, 1] &= 0xBF
    return blocks


def values(random):
    x = random.standard_normal(N_WEIGHTS).astype(np.float32)
    x[:32] = 0
    x[32:64] = np.linspace(-7e4, 7e4, 32)  # past the largest half
    x[64:96] *= np.float32(2.0**-18)  # subnormal halves
    x[96:128] = (np.arange(32) - 16 + 0.5) * 2.0**-24  # ties of subnormal halves
    x[128:160] = 1 + (2 * np.arange(32) + 1) * np.float32(2.0**-11)  # ties of halves
    x[160:192] = 1 + (2 * np.arange(32) + 1) * np.float32(2.0**-8)  # ties of bfloat16
    return x


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/block")
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    for name in SCALES:
        blocks = blocks_of(random, name)
        blocks.tofile(folder / f"{name}.blocks")
        with np.errstate(invalid="ignore", over="ignore"):
            dequantize(blocks, Type[name]).astype(np.float32).tofile(folder / f"{name}.f32")
    x = values(random)
    x.tofile(folder / "encode.f32")
    with np.errstate(over="ignore"):
        for name in ("F16", "BF16", "Q8_0"):
            rows = x.reshape(-1, 32)
            quantize(rows, Type[name]).tofile(folder / f"encode.{name}")


main()
