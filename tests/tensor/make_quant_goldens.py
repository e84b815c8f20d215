"""quant_goldens.bin: what mlx makes of the same weights in every quantisation. small_floats.bin: what every byte of mxfp4,
mxfp8 and nvfp4 reads as in mlx: float32 of each element (16 or 256) with a scale of one, then of one with each of 256 scales.

First the weights, float32 (rows, in), rounded to each of the dtypes 1, 2, 3. Then records: 8 u32 (mode, bits, group, dtype, rows,
in, scale bytes of a row, 1 if dequantised values follow), and for each row: packed weight, scales, biases (affine only),
dequantised float32 (from float32 or byte scales only).
mode and dtype are numbered as in tensor/quant.h and tensor/dtype.h.
"""
import pathlib
import struct

import mlx.core as mx
import numpy as np

mx.set_default_device(mx.cpu)
ROWS, IN = 3, 128
MODES = [("affine", 1, [(b, g) for b in (2, 3, 4, 5, 6, 8) for g in (32, 64, 128)]), ("mxfp4", 2, [(4, 32)]),
         ("mxfp8", 3, [(8, 32)]), ("nvfp4", 4, [(4, 16)])]
DTYPES = {1: mx.float32, 2: mx.float16, 3: mx.bfloat16}


def weights(rng):
    w = rng.standard_normal((ROWS, IN)).astype(np.float32)
    w[0, :32] = 0                       # a group of zeros
    w[0, 32:64] = -np.abs(w[0, 32:64])  # all negative
    w[0, 64:96] = 0.3                   # constant
    w[1, :64] *= 1e-8                   # under the least scale
    w[1, 64:] = np.round(w[1, 64:] * 4) / 4
    w[2] *= 10.0 ** rng.integers(-3, 4, IN)
    return w


def raw(array):
    return np.array(array if array.dtype not in (mx.float16, mx.bfloat16) else array.view(mx.uint16)).tobytes()


def main():
    rng = np.random.default_rng(7)
    base = mx.array(weights(rng))
    out = bytearray()
    for mx_dtype in DTYPES.values():
        out += np.array(base.astype(mx_dtype).astype(mx.float32)).tobytes()
    for mode, number, formats in MODES:
        for bits, group in formats:
            for dtype, mx_dtype in DTYPES.items():
                w = base.astype(mx_dtype)
                parts = mx.quantize(w, group_size=group, bits=bits, mode=mode)
                values = mx.dequantize(*parts, group_size=group, bits=bits, mode=mode, dtype=mx.float32)
                has_values = int(dtype == 1)
                scale_bytes = parts[1].nbytes // ROWS
                out += struct.pack("<8I", number, bits, group, dtype, ROWS, IN, scale_bytes, has_values)
                for row in range(ROWS):
                    for part in parts:
                        out += raw(part[row])
                    if has_values:
                        out += raw(values[row])
    (pathlib.Path(__file__).parent / "quant_goldens.bin").write_bytes(out)


def small_floats():
    out = bytearray()
    for mode, bits, group, scale_one in (("mxfp4", 4, 32, 127), ("mxfp8", 8, 32, 127), ("nvfp4", 4, 16, 0x38)):
        count, one = (16, 2) if bits == 4 else (256, 0x38)
        elements = np.arange(count, dtype=np.uint8)
        packed = (elements[0::2] | elements[1::2] << 4) if bits == 4 else elements
        packed = np.tile(packed, 2) if bits == 4 else packed
        ones = np.full((256, group * bits // 8), one | one << 4 if bits == 4 else one, np.uint8)
        values = [mx.dequantize(mx.array(w.view(np.uint32)), mx.array(s), group_size=group, bits=bits, mode=mode, dtype=mx.float32)
                  for w, s in ((packed[None], np.full((1, packed.size * 8 // bits // group), scale_one, np.uint8)),
                               (ones, np.arange(256, dtype=np.uint8)[:, None]))]
        out += np.array(values[0])[0, :count].tobytes() + np.array(values[1])[:, 0].tobytes()
    (pathlib.Path(__file__).parent / "small_floats.bin").write_bytes(out)


main()
small_floats()
