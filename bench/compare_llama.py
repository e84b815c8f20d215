"""Time `whisperengine bench` and llama.cpp's `llama-bench` on the same weights, in turn, and print a Markdown table.

Usage: compare_llama.py WHISPERENGINE LLAMA_BENCH MODEL_DIRECTORY MODEL.gguf [-p PROMPT] [-n TOKENS] [-t THREADS] [-r ROUNDS]

One round runs each program once, A B A B, so that a machine whose speed drifts serves both alike. Medians are quoted.
"""
import argparse
import json
import statistics
import subprocess


def ours(args):
    command = [args.whisperengine, "bench", "-m", args.model, "-p", str(args.p), "-n", str(args.n), "-r", "1", "--json",
               "--threads", str(args.t)]
    out = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return out["prefill_tps"], out["decode_tps"], out


def llama(args):
    command = [args.llama_bench, "-m", args.gguf, "-p", str(args.p), "-n", str(args.n), "-t", str(args.t), "-r", "1", "-o", "json",
               "-fa", "1"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    rate = {("decode" if row["n_gen"] else "prefill"): row["avg_ts"] for row in rows}
    return rate["prefill"], rate["decode"]


def main():
    parser = argparse.ArgumentParser()
    for name in ("whisperengine", "llama_bench", "model", "gguf"):
        parser.add_argument(name)
    parser.add_argument("-p", type=int, default=512)
    parser.add_argument("-n", type=int, default=64)
    parser.add_argument("-t", type=int, default=2)
    parser.add_argument("-r", type=int, default=5)
    args = parser.parse_args()
    rounds = [(ours(args), llama(args)) for _ in range(args.r)]
    last = rounds[-1][0][2]
    print(f"{args.t} threads, {args.r} rounds; load {last['load_seconds'] * 1000:.1f} ms, peak memory "
          f"{last['peak_memory_bytes'] / 1e6:.0f} MB, decode at {last['bandwidth_fraction']:.0%} of the read bandwidth")
    print("| token/s | whisperengine | llama.cpp | ratio |\n| --- | --- | --- | --- |")
    for i, name in enumerate((f"prefill {args.p}", f"decode {args.n}")):
        a, b = (statistics.median(r[side][i] for r in rounds) for side in (0, 1))
        print(f"| {name} | {a:.1f} | {b:.1f} | {a / b:.2f} |")


if __name__ == "__main__":
    main()
