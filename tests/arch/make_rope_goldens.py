"""Write rope_goldens.json: inverse frequencies and scales as mlx-lm's rope classes hold them. Needs mlx and mlx-lm."""
import json
import math
import os

import mlx.core as mx
from mlx_lm.models.rope_utils import SuScaledRoPE, initialize_rope

CASES = [
    dict(dims=64, theta=10000.0, scaling=None),
    dict(dims=96, theta=500000.0, scaling=dict(type="linear", factor=4.0)),
    dict(dims=128, theta=500000.0, scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                                original_max_position_embeddings=8192)),
    dict(dims=64, theta=500000.0, scaling=dict(rope_type="llama3", factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                               original_max_position_embeddings=8192)),
    dict(dims=128, theta=1000000.0, scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32768)),
    dict(dims=64, theta=150000.0, scaling=dict(rope_type="yarn", factor=32.0, beta_fast=32.0, beta_slow=1.0,
                                               original_max_position_embeddings=4096)),
    dict(dims=64, theta=1000000.0, scaling=dict(rope_type="proportional", partial_rotary_factor=0.3)),
    dict(dims=16, theta=10000.0, max_position_embeddings=131072, original=4096,
         scaling=dict(type="longrope", long_factor=[1.0 + 0.7 * i for i in range(8)],
                      short_factor=[1.0 + 0.05 * i for i in range(8)])),
]


def main():
    out = []
    for case in CASES:
        dims, scaling = case["dims"], case["scaling"]
        kind = (scaling or {}).get("type") or (scaling or {}).get("rope_type", "default")
        if kind == "longrope":
            rope = {}
            for name in ("short_factor", "long_factor"):
                # mlx-lm only uses the long factors; the short ones in their place give the other mode
                rope[name] = SuScaledRoPE(dims, case["theta"], case["max_position_embeddings"], case["original"],
                                          long_factor=scaling[name])
            freqs = [(1 / rope[name]._freqs).tolist() for name in ("short_factor", "long_factor")]
            mscale = rope["long_factor"]._scale
        else:
            rope = initialize_rope(dims, case["theta"], False, scaling, 131072)
            if kind in ("default", "linear"):
                f = [rope.scale * math.exp(-math.log(case["theta"]) * i / (dims // 2)) for i in range(dims // 2)]
                freqs, mscale = [f, f], 1.0
            else:
                f = (1 / rope._freqs).tolist()
                freqs, mscale = [f, f], getattr(rope, "mscale", 1.0)
        config = {"rope_theta": case["theta"], "rope_scaling": scaling}
        out.append(dict(dims=dims, max_position_embeddings=case.get("max_position_embeddings", 0),
                        original=case.get("original", 0), config=config, short=freqs[0], long=freqs[1], mscale=mscale))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rope_goldens.json")
    with open(path, "w") as f:
        json.dump(out, f)
        f.write("\n")


if __name__ == "__main__":
    main()
