"""Every family x quantisation against float32 mlx-lm: builds tiny random models, compares logits and greedy tokens.

Usage: conformance.py WHISPERENGINE [FAMILY...] [--seed N] [--quants all|few] [--jobs N] [--keep DIRECTORY]

Shapes, options and weights are random: another seed, other models. The exact precision must be as close as compare_with_mlx.py
asks, or twice as far in the worst row, of so many. The fast one rounds activations and cached keys and values to bfloat16 or 16-bit integers: the logits of the middle row must be
within FAST of mlx-lm's (not of every row: a router that rounding tips over to another expert changes that row altogether).
Exit status 1 if any differs. With `all` every family meets every number of bits and every mode, `few` takes plain weights and
two others of each. Models are worked on in as many processes as there are cores, or --jobs.
"""
import argparse
import concurrent.futures
import multiprocessing
import os
import pathlib
import shutil
import sys
import tempfile
import time
import zlib

import numpy as np

import compare_with_mlx as compare  # also shows where families and tiny are
import families
import tiny

FAST = 6e-2
REFUSED = "has no kernels for quantisation"
PLAIN = [None]
AFFINE = [{"bits": bits} for bits in (2, 3, 4, 5, 6, 8)]
MODES = [{"mode": "mxfp4", "bits": 4, "group_size": 32}, {"mode": "mxfp8", "bits": 8, "group_size": 32},
         {"mode": "nvfp4", "bits": 4, "group_size": 16}]


def quants_of(rng, which):
    every = PLAIN + AFFINE + MODES
    if which == "few":
        every = PLAIN + [AFFINE[i] for i in rng.choice(len(AFFINE), 2, replace=False)]
    return [q if q is None or "mode" in q else q | {"group_size": int(rng.choice([32, 64, 128]))} for q in every]


def text(quant):
    return "plain" if quant is None else f"{quant.get('mode', 'affine')}-{quant['bits']}-{quant['group_size']}"


def spec_of(family, quant, rng, name):
    unit = 4 if quant is None else max(32, quant["group_size"])
    config = families.config(family, rng, unit)
    dtype = str(rng.choice(list(tiny.DTYPES)))
    return tiny.Spec(name, config, dtype, quant, shards=int(rng.choice([1, 1, 2])), align=int(rng.integers(0, 8)),
                     seed=int(rng.integers(1 << 30)))


def check(arguments, path, seed):
    """Lines of the table, and whether all is well."""
    lines, good = [], True
    for compat, model, ids, reply in compare.cases(arguments, path, seed):
        arguments.precision = "exact"
        error, worst, agree, must = compare.compare(arguments, path, compat, model, ids, reply)
        arguments.precision = "fast"
        fast = compare.logits_error(arguments, path, compat, model, ids)[2]
        bad = error > 1e-5 or worst > 1e-4 or agree < must or not fast <= FAST
        good = good and not bad
        lines.append(f"{error:8.1e} {worst:8.1e} {agree:3}/{must:3} {fast:8.1e} {'DIFFERS' if bad else ''}")
    return lines, good


def check_model(task):
    """Builds one model and compares it: its lines, whether it is well, whether its format was refused."""
    arguments, label, spec, folder = task
    try:
        lines, good = check(arguments, str(tiny.build(spec, folder)), arguments.seed)
    except Exception as problem:
        if REFUSED in str(problem):
            return [f"{label} refused"], True, True
        return [f"{label} FAILED: {' '.join(str(problem).split())[:300]}"], False, False
    if good and not arguments.keep:
        shutil.rmtree(folder / spec.name, ignore_errors=True)
    return [f"{label} {line}" for line in lines], good, False


def tasks(arguments, folder):
    for family in sorted(families.FAMILIES):
        if arguments.families and family not in arguments.families:
            continue
        rng = np.random.default_rng([arguments.seed, zlib.crc32(family.encode())])
        for quant in quants_of(rng, arguments.quants):
            spec = spec_of(family, quant, rng, f"{family}-{text(quant)}")
            yield arguments, f"{family:18} {text(quant):14}", spec, folder


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("families", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quants", choices=["all", "few"], default="all")
    parser.add_argument("--keep")
    parser.add_argument("--ids", type=int, default=130)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--isa")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_intermixed_args()
    unknown = [f for f in arguments.families if f not in families.FAMILIES]
    if unknown:
        parser.error(f"{unknown[0]} is not one of {', '.join(sorted(families.FAMILIES))}")
    failures, refused, count, begin = 0, 0, 0, time.monotonic()
    print(f"{'family':18} {'weights':14} {'rel. RMS':>8} {'worst':>8} {'tokens':>7} {'fast':>8}")
    folder = pathlib.Path(arguments.keep or tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.jobs > 1:
        os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        arguments.threads = 1
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("spawn")) as pool:
        for lines, good, refuses in pool.map(check_model, tasks(arguments, folder)):
            count, failures, refused = count + 1, failures + (not good), refused + refuses
            print("\n".join(lines), flush=True)
    print(f"{count} models, {failures} of them differ, {refused} refused for their format, {time.monotonic() - begin:.0f} s")
    if not failures and not arguments.keep:
        shutil.rmtree(folder)
    elif failures:
        print(f"those that differ are in {folder}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
