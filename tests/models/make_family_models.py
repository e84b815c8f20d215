"""Writes family-NAME, one small random model of each family of families.py, quantised to 4 bits, and what float32 mlx-lm computes
with it, as make_models.py does. Usage: make_family_models.py [FAMILY...]

tests/engine/conformance.py compares many more models of each family; these are what the suite runs.
"""
import pathlib
import shutil
import sys
import zlib

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "convert"))
import convert_oracle
import families
import make_models
import tiny

ROWS = (0, 66, 99)
OLD = "old-deepseek_v3"
SEEDS = {"stablelm": 3, "smollm3": 4, "granitemoehybrid": 17, "nemotron_h": 7, "deepseek_v2": 1, "deepseek_v3": 188, "glm4_moe_lite": 18, "gemma4": 41, "gemma4_text": 46}  # other seeds, for models that show more of their family
PARTLY_DENSE = ("bailing_moe", "deepseek_v2", "deepseek_v3", "dots1", "ernie4_5_moe", "glm4_moe", "glm4_moe_lite", "qwen3_moe")  # two layers: they have both kinds


def golden(name, path, compat, rng):
    model, config = tiny.load(path)
    rows, vocab = make_models.Rows(), config.get("embedding_size", config["vocab_size"])
    ids = [int(t) for t in rng.integers(0, vocab, 100)]
    case = {"name": "long", "rope_compat": compat, "ids": ids, "rows": rows.add(tiny.logits(model, ids), list(ROWS)),
            "greedy": tiny.greedy(model, ids, 16), "samples": []}
    make_models.write_golden(name, vocab, [case], rows)
    reply = case["greedy"]
    print(f"{name:26} {sum(f.stat().st_size for f in path.iterdir()):7} {len(set(reply['tokens'])):3} distinct, least gap "
          f"{min(reply['gaps']):.4f}")


def main(names):
    families.MOST.update(vocab=48, units=1, experts=4, head_dim=16, kv=2, repeat=2)
    for family in sorted(families.FAMILIES):
        number = zlib.crc32(family.encode())
        if names and family not in names:
            continue
        name = f"family-{family}"
        families.MOST["layers"] = 2 if family in PARTLY_DENSE else 1
        rng = np.random.default_rng([SEEDS.get(family, 0), number])
        config = families.config(family, rng, 32)
        shutil.rmtree(make_models.HERE / name, ignore_errors=True)
        spec = tiny.Spec(name, config, str(rng.choice(["bfloat16", "float16"])), {"bits": 4, "group_size": 32}, index=False,
                         align=int(rng.integers(0, 8)), seed=number)
        path = tiny.build(spec, make_models.HERE)
        longrope = any("short_factor" in (part.get("rope_scaling") or {}) for part in (config, config.get("text_config", {})))
        golden(name, path, "mlx" if longrope else "paper", rng)
    if not names or OLD in names:  # as mlx-lm quantised it before embed_q and unembed_out stood by themselves
        convert_oracle.old_form(make_models.HERE / OLD.replace("old-", "family-"), make_models.HERE / OLD)
        golden(OLD, make_models.HERE / OLD, "paper", np.random.default_rng(1))


if __name__ == "__main__":
    main(sys.argv[1:])
