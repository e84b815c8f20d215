"""mlx.safetensors: a small file written by MLX itself, whose writer does not pad the header."""
import pathlib

import mlx.core as mx

here = pathlib.Path(__file__).parent
values = mx.arange(6, dtype=mx.float32).reshape(2, 3)
mx.save_safetensors(str(here / "mlx.safetensors"), {
    "f32": values, "f16": values.astype(mx.float16), "bf16": values.astype(mx.bfloat16),
    "u32": mx.array([1, 2, 0xFFFFFFFF], dtype=mx.uint32), "scalar": mx.array(7, dtype=mx.int32), "empty": mx.zeros((0, 4)),
    'quote "x"': mx.array([1, 2], dtype=mx.uint8),
}, metadata={"format": "mlx"})
size = int.from_bytes((here / "mlx.safetensors").read_bytes()[:8], "little")
assert size % 8 != 0, "the header happens to be aligned: change a name"
