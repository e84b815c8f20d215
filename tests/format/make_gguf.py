"""package.gguf: values of every kind and a few tensors, written by the `gguf` package. Seeds of the fuzzers' corpora."""
import pathlib
import shutil

import gguf
import numpy as np

here = pathlib.Path(__file__).parent
writer = gguf.GGUFWriter(str(here / "package.gguf"), "test")
writer.add_uint8("u8", 200)
writer.add_int8("i8", 100)
writer.add_uint16("u16", 60000)
writer.add_int16("i16", 30000)
writer.add_uint32("u32", 4000000000)
writer.add_int32("i32", 7)
writer.add_uint64("u64", 9)
writer.add_int64("i64", 5)
writer.add_int32("minus", -1)
writer.add_int64("minus64", -(1 << 62))
writer.add_uint64("large", 1 << 40)
writer.add_float32("f32", 0.5)
writer.add_float64("f64", 0.25)
writer.add_bool("flag", True)
writer.add_string("text", "a text")
writer.add_array("list", ["one", "", "drüü"])
writer.add_array("ints", [1, 2, 3, 4])
writer.add_tensor("vector", np.arange(5, dtype=np.float16))
writer.add_tensor("matrix", np.arange(6, dtype=np.float32).reshape(2, 3))
writer.add_tensor("quantised", gguf.quants.quantize(np.full((2, 64), 1, np.float32), gguf.GGMLQuantizationType.Q8_0),
                  raw_dtype=gguf.GGMLQuantizationType.Q8_0)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

for name, source in (("gguf", "package.gguf"), ("safetensors", "mlx.safetensors")):
    (here / f"corpus_{name}").mkdir(exist_ok=True)
    shutil.copy(here / source, here / f"corpus_{name}" / source)
