"""Time WhisperEngine, llama.cpp and ik_llama.cpp on the same shapes, in turn, and print a Markdown table.

Usage: compare_peers.py WHISPERENGINE [--llama LLAMA_BENCH] [--ik LLAMA_BENCH] [--phi DIR] [--phi-gguf FILE]
                        [--smollm2 DIR] [--smollm2-gguf FILE] [--long DIR] [--long-gguf FILE] [--lines NAME,...]
A program or model that is not given leaves its column or lines out.

The peers: in a checkout of each,
    cmake -B build -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAMA_CURL=OFF && cmake --build build --target llama-bench
(gcc 12 leaves out most of what llama.cpp stores into a tile configuration, and the program dies where the processor has AMX: use
a later compiler, or put `__asm__ volatile("" : : "r"(&tc) : "memory");` before _tile_loadconfig in ggml-cpu/amx/mmq.cpp.)
The models: `make_synthetic.py` writes the shape of Phi-3-mini as an MLX directory (--phi) and as Q4_0 (--phi-gguf), 4.5 bits a
weight both; the same with --layers 8 is for the long context (--long, --long-gguf), which takes minutes with all 32.
SmolLM2-135M-Instruct is what `make run` fetches, and its Q4_1 file, of the same values.

The lines:
    phi      decode from an empty context, prefill of 512 tokens, load, peak memory
    long     decode at a context of 4096, prefill of 4096
    smollm2  as phi
    batch    8 sequences side by side (no peer's benchmark has it)
    start    from the start of the process to the first token after a prompt of 37 (likewise)
A round runs each program once, A B C A B C, so that a machine whose speed drifts serves all alike; medians are quoted, and the
bandwidth that memory was read with in between. Nothing else may run at the same time.
"""
import argparse
import collections
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

LINES = ("phi", "long", "smollm2", "batch", "start")
PAGE = 64  # positions of the KV cache that are allocated together

# line: (tokens of the prompt, steps of decode, rounds; None: as many as are asked for)
SIZES = {"phi": (512, 48, None), "smollm2": (512, 128, None), "long": (4096, 16, 1)}


def run(command):
    """Standard output, wall seconds, peak resident bytes."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            message = err.read().decode(errors="replace")[-2000:]
            sys.exit(f"{' '.join(map(str, command))}: exit status {process.returncode}\n{message}")
        scale = 1 if sys.platform == "darwin" else 1024
        return out.read().decode(), seconds, usage.ru_maxrss * scale


class Table:
    """Samples by line and program."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.samples = collections.defaultdict(list)
        self.order = []
        self.devices = set()
        self.bandwidth = []

    def add(self, line, unit, program, value):
        if (line, unit) not in self.order:
            self.order.append((line, unit))
        self.samples[line, program].append(value)

    def text(self, line, program, unit):
        values = self.samples[line, program]
        if not values:
            return "-"
        digits = 0 if unit == "MB" else 3 if unit == "s" else 1
        middle = f"{statistics.median(values):.{digits}f}"
        return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"

    def ratio(self, line, program, unit):
        ours, theirs = self.samples[line, "ours"], self.samples[line, program]
        if not ours or not theirs or min(statistics.median(ours), statistics.median(theirs)) <= 0:
            return "-"
        ratio = statistics.median(ours) / statistics.median(theirs)
        return f"{ratio if unit == 'token/s' else 1 / ratio:.2f}"

    def print(self):
        peers = [(name, title) for name, title in (("llama", "llama.cpp"), ("ik", "ik_llama.cpp")) if getattr(self.arguments, name)]
        memory = [b / 1e9 for b in self.bandwidth]
        print(f"{processor()}, {self.arguments.threads} threads; WhisperEngine on {', '.join(sorted(self.devices))}, "
              f"precision {self.arguments.precision}.")
        if memory:
            print(f"Memory read in between: {statistics.median(memory):.1f} GB/s ({min(memory):.1f} to {max(memory):.1f}).")
        print("Medians, in brackets the range. Ratios above 1: WhisperEngine is faster, or smaller.\n")
        titles = ["", "unit", "WhisperEngine"] + [title for _, title in peers] + [f"ratio to {title}" for _, title in peers]
        print("| " + " | ".join(titles) + " |\n|" + " --- |" * len(titles))
        for line, unit in self.order:
            cells = [line, unit, self.text(line, "ours", unit)] + [self.text(line, name, unit) for name, _ in peers]
            cells += [self.ratio(line, name, unit) for name, _ in peers]
            print("| " + " | ".join(cells) + " |")


def processor():
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    name = fields.get("model name", platform.machine())
    return f"{name} (family {fields['cpu family']}, model {fields['model']})" if "cpu family" in fields else name


class Programs:
    def __init__(self, arguments, table):
        self.a, self.table = arguments, table

    def ours(self, model, prompt, steps, *more):
        out, _, _ = run([self.a.whisperengine, "bench", "-m", model, "-p", str(prompt), "-n", str(steps), "-r", "1", "--json", "--no-cold",
                         "--threads", str(self.a.threads), "--precision", self.a.precision, *self.isa(), *more])
        result = json.loads(out)
        self.table.devices.add(result["device"])
        self.table.bandwidth.append(result["read_bandwidth"])
        return result

    def isa(self):
        return ["--isa", self.a.isa] if self.a.isa else []

    def first_token(self, model):
        ids = json.dumps([(7 * i * i + 11 * i + 5) % 30000 for i in range(37)])
        return run([self.a.whisperengine, "run", "-m", model, "--ids", ids, "--max-tokens", "1", "--temp", "0", "--json",
                    "--threads", str(self.a.threads), "--precision", self.a.precision, *self.isa()])[1]

    def peer(self, program, gguf, *more):
        """{(prompt, generated): token/s} and the peak."""
        options = (self.a.llama_options if program == "llama" else self.a.ik_options).split()
        out, _, peak = run([getattr(self.a, program), "-m", gguf, "-t", str(self.a.threads), "-r", "1", "-o", "json", *options, *more])
        return {(row["n_prompt"], row["n_gen"]): row["avg_ts"] for row in json.loads(out[out.index("["):])}, peak


def kv_bytes(model, positions, bytes_each=2):
    config = json.loads((pathlib.Path(model) / "config.json").read_text())
    heads = config["num_attention_heads"]
    width = config.get("head_dim") or config["hidden_size"] // heads
    return positions * 2 * config["num_hidden_layers"] * (config.get("num_key_value_heads") or heads) * width * bytes_each


def run_model(programs, line, title, model, gguf):
    """One round of decode from an empty context, prefill, load and memory."""
    a, table = programs.a, programs.table
    prompt, steps, _ = SIZES[line]
    prefill, decode = f"{title}: prefill {prompt}", f"{title}: decode"
    memory = f"{title}: peak memory above weights and KV cache, prefill {prompt}"
    result = programs.ours(model, prompt, 0)
    table.add(decode, "token/s", "ours", programs.ours(model, 1, steps)["decode_tps"])
    table.add(prefill, "token/s", "ours", result["prefill_tps"])
    table.add(f"{title}: load", "s", "ours", result["load_seconds"])
    kv = (prompt + PAGE) // PAGE * PAGE * result["kv_position_bytes"]
    # Of the mapped weights only what is read is in memory: of an embedding that is not the head too, few rows.
    table.add(memory, "MB", "ours", (result["peak_memory_bytes"] - result["token_bytes"] - kv) / 1e6)
    for program in ("llama", "ik"):
        if getattr(a, program) and gguf:
            rates, peak = programs.peer(program, gguf, "-p", str(prompt), "-n", str(steps))
            table.add(decode, "token/s", program, rates[0, steps])
            table.add(prefill, "token/s", program, rates[prompt, 0])
            table.add(memory, "MB", program, (peak - os.path.getsize(gguf) - kv_bytes(model, prompt)) / 1e6)


def run_long(programs, title, model, gguf):
    """Without warm-up where a program can: the prompt takes long enough."""
    a, table = programs.a, programs.table
    prompt, steps, _ = SIZES["long"]
    prefill, decode = f"{title}: prefill {prompt}", f"{title}: decode at {prompt}"
    result = programs.ours(model, prompt, steps)
    table.add(decode, "token/s", "ours", result["decode_tps"])
    table.add(prefill, "token/s", "ours", result["prefill_tps"])
    if a.llama and gguf:
        for name, more in ((prefill, ("-p", str(prompt), "-n", "0")), (decode, ("-p", "0", "-n", str(steps), "-d", str(prompt)))):
            rates, _ = programs.peer("llama", gguf, "--no-warmup", *more)
            table.add(name, "token/s", "llama", next(iter(rates.values())))
    if a.ik and gguf:
        rates, _ = programs.peer("ik", gguf, "-w", "0", "-p", str(prompt), "-n", "0", "-gp", f"{prompt},{steps}")
        table.add(decode, "token/s", "ik", rates[prompt, steps])
        table.add(prefill, "token/s", "ik", rates[prompt, 0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("whisperengine")
    for name in ("--llama", "--ik", "--phi", "--phi-gguf", "--smollm2", "--smollm2-gguf", "--long", "--long-gguf"):
        parser.add_argument(name)
    parser.add_argument("--llama-options", default="-fa auto")
    parser.add_argument("--ik-options", default="-rtr 1 -fa 1 -fmoe 1", help="repacked weights, flash attention, fused operations")
    parser.add_argument("--lines", default=",".join(LINES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="fast")
    parser.add_argument("--isa")
    parser.add_argument("--rounds", type=int, default=3)
    a = parser.parse_args()
    lines = a.lines.split(",")
    if set(lines) - set(LINES):
        parser.error(f"--lines takes {', '.join(LINES)}")
    table = Table(a)
    programs = Programs(a, table)
    models = (("phi", "Phi-3-mini shape", a.phi, a.phi_gguf), ("smollm2", "SmolLM2-135M", a.smollm2, a.smollm2_gguf))
    for number in range(a.rounds):
        for line, title, model, gguf in models:
            if line in lines and model:
                run_model(programs, line, title, model, gguf)
        if "long" in lines and a.long and number < SIZES["long"][2]:
            layers = json.loads((pathlib.Path(a.long) / "config.json").read_text())["num_hidden_layers"]
            run_long(programs, f"Phi-3-mini shape, {layers} layers", a.long, a.long_gguf)
        for line, title, model, _ in models:
            if "batch" in lines and model:
                rate = programs.ours(model, 64, 48, "-b", "8")["decode_tps"]
                table.add(f"{title}: decode, 8 sequences together", "token/s", "ours", rate)
            if "start" in lines and model:
                table.add(f"{title}: from start to first token, prompt of 37", "s", "ours", programs.first_token(model))
        print(f"round {number + 1} of {a.rounds} is done", file=sys.stderr)
    table.print()


if __name__ == "__main__":
    main()
