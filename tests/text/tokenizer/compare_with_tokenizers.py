#!/usr/bin/env python3
"""Compares the tokenizer with the `tokenizers` package on tokenizers and texts made by chance, on those that the package trains
(--trained), or on given tokenizer.json and GGUF files (whose expected ids, in FILE.inp and FILE.out, are compared too). Some of
the texts are not valid UTF-8: there the package sees U+FFFD. --long N adds a text of so many bytes for each tokenizer. Not part
of the suite. Usage: compare_with_tokenizers.py PIPE [--tokenizers N] [--texts N] [--long N] [--seed N] [--trained | FILE ...]
PIPE is the built tests/text/tokenizer/tokenizer_pipe. Exit status 1 if anything differs."""
import argparse
import json
import os
import random
import struct
import subprocess
import sys

import tokenizers

import random_texts
import random_tokenizers
import trained_tokenizers


class Pipe:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, what, data):
        self.process.stdin.write(what.encode() + struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()
        head = self.process.stdout.read(5)
        if len(head) < 5:
            raise SystemExit(f"the program ended: {self.process.wait()}")
        status, length = struct.unpack("<BI", head)
        return status, self.process.stdout.read(length)


def ids_of(answer):
    status, data = answer
    return list(struct.unpack(f"<{len(data) // 4}I", data)) if status == 0 else f"error {status}: {data.decode(errors='replace')}"


def text_of(answer):
    status, data = answer
    return data.decode(errors="backslashreplace") if status == 0 else f"error {status}: {data.decode(errors='replace')}"


class Comparison:
    def __init__(self, pipe, keep_going):
        self.pipe, self.keep_going = pipe, keep_going
        self.compared = self.different = 0

    def same(self, what, mine, oracle, shown):
        self.compared += 1
        if mine == oracle or (isinstance(oracle, str) and oracle.startswith("error: ")):
            return True  # where the package fails there is nothing to compare with
        self.different += 1
        start = next((i for i, (a, b) in enumerate(zip(mine, oracle)) if a != b), 0) if len(mine) > 5000 else 0
        print(f"--- {what} differs\n mine   {mine[start:start + 5000]!r}\n oracle {oracle[start:start + 5000]!r}\n of     {shown[:5000]!r}", flush=True)
        return False

    def oracle(self, work):
        try:
            return work()
        except BaseException as e:  # also the panics of Rust
            if isinstance(e, KeyboardInterrupt):
                raise
            return f"error: {e}"

    def texts(self, tokenizer, texts, rng, name):
        size = tokenizer.get_vocab_size() + 3
        ok = True
        for data in texts:
            t = data.decode(errors="replace")
            for what, special in (("E", True), ("e", False)):
                expected = self.oracle(lambda: tokenizer.encode(t, add_special_tokens=special).ids)
                mine = ids_of(self.pipe.ask(what, data))
                ok &= self.same(f"{name}: encode {what}", mine, expected, t)
            several = [expected] if isinstance(expected, list) else []
            several.append([rng.randrange(size) for _ in range(rng.randint(0, 12))])
            if several[0]:
                cut = rng.randrange(len(several[0]))
                several.append(several[0][cut:] + several[0][:cut])
            for ids in several:
                packed = struct.pack(f"<{len(ids)}I", *ids)
                for what, skip in (("D", False), ("d", True)):
                    expected = self.oracle(lambda: tokenizer.decode(ids, skip_special_tokens=skip))
                    whole = text_of(self.pipe.ask(what, packed))
                    stream = text_of(self.pipe.ask({"D": "S", "d": "s"}[what], packed))
                    ok &= self.same(f"{name}: decode {what}", whole, expected, ids)
                    ok &= self.same(f"{name}: stream {what}", stream, whole, ids)
            if not ok and not self.keep_going:
                return False
        return ok


def ambiguous(tokenizer, made):
    """Whether added tokens come to the same text when they are normalised: which of them the package finds is chance."""
    found = {}
    for token in made["added_tokens"]:
        if token["normalized"]:
            content = token["content"]
            try:
                found[content] = tokenizer.normalizer.normalize_str(content) if tokenizer.normalizer else content
            except BaseException:  # a panic of Rust
                return True
    return len(set(found.values())) < len(found)


def some_texts(rng, count, long, extra):
    """Texts in bytes; one of ten is not UTF-8 any more."""
    out = []
    for _ in range(count):
        data = random_texts.text(rng, extra).encode()
        if rng.random() < 0.1 and data:
            data = bytearray(data)
            for _ in range(rng.randint(1, 3)):
                i = rng.randrange(len(data) + 1)
                data[i:i + rng.choice([0, 1])] = rng.choice([b"", b"\xff", b"\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", bytes([rng.randrange(256)])])
        out.append(bytes(data))
    if long:
        parts, size = [], 0
        while size < long:
            parts.append(random_texts.text(rng, extra) + rng.choice(["", " ", "\n"]))
            size += len(parts[-1].encode())
        out.append("".join(parts).encode()[:long].decode(errors="ignore").encode())
    return out


def expected_ids(pipe, path):
    """The ids that llama.cpp's vocabularies come with; returns how many texts differ."""
    if not os.path.exists(path + ".inp"):
        return 0
    texts = open(path + ".inp", encoding="utf-8", newline="").read().split("\n__ggml_vocab_test__\n")
    lines = open(path + ".out", encoding="utf-8").read().split("\n")
    wrong = 0
    for text, line in zip(texts, lines):
        mine = ids_of(pipe.ask("e", text.encode()))
        if mine != [int(i) for i in line.split()]:
            wrong += 1
            print(f"--- {path}.out differs\n mine     {mine}\n expected {line}\n of       {text!r}")
    print(f"{path}: {len(texts)} texts with expected ids, {wrong} differ")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pipe")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--tokenizers", type=int, default=300)
    parser.add_argument("--texts", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--long", type=int, default=0)
    parser.add_argument("--trained", action="store_true")
    parser.add_argument("--keep-going", action="store_true", help="show every text of a tokenizer that differs")
    args = parser.parse_args()
    comparison = Comparison(Pipe(args.pipe), args.keep_going)
    refused = failed = unclear = 0
    trained = dict(trained_tokenizers.cases(random.Random(args.seed))) if args.trained else {}
    sources = list(trained) or args.files or range(args.seed, args.seed + args.tokenizers)
    for source in sources:
        rng = random.Random(source if isinstance(source, int) else args.seed)
        if source in trained:
            source_text = trained[source]().to_str()
            made = json.loads(source_text)
        elif isinstance(source, int):
            made = random_tokenizers.tokenizer(rng)
            source_text = json.dumps(made, ensure_ascii=rng.random() < 0.3)
        else:
            if source.endswith(".gguf"):
                source_text = text_of(comparison.pipe.ask("G", source.encode()))
            else:
                source_text = open(source, encoding="utf-8").read()
            made = json.loads(source_text)
        status, message = comparison.pipe.ask("L", source_text.encode())
        try:
            tokenizer = tokenizers.Tokenizer.from_str(source_text)
        except Exception as e:
            refused += 1
            if status == 0:
                print(f"--- {source}: the package refuses what we take: {e}")
                failed += 1
            continue
        tokenizer.no_truncation()  # as transformers encodes, whatever the file has set
        tokenizer.no_padding()
        if ambiguous(tokenizer, made):
            unclear += 1
            continue
        if status:
            print(f"--- {source}: refused: {message.decode()}")
            failed += 1
            continue
        if not isinstance(source, int) and source not in trained:
            failed += expected_ids(comparison.pipe, source) > 0
        extra = [t["content"] for t in made["added_tokens"]]
        extra += [c.upper() for c in extra]
        texts = some_texts(rng, args.texts, args.long, extra)
        if not comparison.texts(tokenizer, texts, rng, source):
            failed += 1
            print({k: (v if k != "model" else {a: b for a, b in v.items() if a not in ("vocab", "merges")}) for k, v in made.items()} if isinstance(source, int) else source)
    print(f"{len(sources)} tokenizers ({refused} refused by both, {unclear} left out), {comparison.compared} comparisons, {comparison.different} differences in {failed} tokenizers")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
