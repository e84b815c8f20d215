#!/usr/bin/env python3
"""Compares our tokenizer's speed with that of the `tokenizers` package, on one thread: encoding 1 MB of English, of code and
of Chinese, and loading vocabularies of 150,000 and of 262,000 tokens, without and with their compiled form in the cache.
Usage: compare_tokenizers.py PIPE [FILE ...]
PIPE is the built tests/text/tokenizer/tokenizer_pipe; FILEs are tokenizer.json or GGUF files; without any, tokenizers of every
kind are trained on the texts, which come from what Python has installed."""
import glob
import json
import os
import random
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import tokenizers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SIZE = 1 << 20


class Pipe:
    def __init__(self, path, cache):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ, XDG_CACHE_HOME=cache))

    def ask(self, what, data):
        self.process.stdin.write(what.encode() + struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()
        status, length = struct.unpack("<BI", self.process.stdout.read(5))
        answer = self.process.stdout.read(length)
        if status:
            raise SystemExit(answer.decode())
        return answer


def collect(pattern, good):
    """1 MB of the files of the standard library and of packages, as many as it takes."""
    out, size = [], 0
    roots = [sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"]]
    for path in sorted(p for r in roots for p in glob.glob(os.path.join(r, pattern), recursive=True)):
        try:
            text = good(open(path, encoding="utf-8").read())
        except (OSError, UnicodeDecodeError):
            continue
        out.append(text)
        size += len(text)
        if size > 4 * SIZE:
            break
    random.Random(1).shuffle(out)
    return "".join(out)[:SIZE]


def prose(text):
    """Lines that look like sentences: docstrings, comments and licences have many."""
    lines = (line.strip(" #*-\t") for line in text.split("\n"))
    return "\n".join(line for line in lines if len(line) > 45 and line.count(" ") > 6 and sum(c.isalpha() or c in " ,." for c in line) > 0.93 * len(line)) + "\n"


def chinese():
    """Words of one to four of the common characters, as often as words are; with punctuation, numbers, and some Latin."""
    rng = random.Random(2)
    characters = [chr(0x4E00 + rng.randrange(0x51A5)) for _ in range(3500)]
    words = ["".join(characters[min(3499, int(rng.paretovariate(0.7)))] for _ in range(rng.choice([1, 2, 2, 2, 3, 4]))) for _ in range(20000)]
    out, size = [], 0
    while size < SIZE:
        word = words[min(19999, int(rng.paretovariate(0.6)))] if rng.random() < 0.97 else rng.choice([str(rng.randrange(3000)), "GPU", "Python"])
        word += rng.choice(["，", "。", "、", "\n"]) if rng.random() < 0.12 else ""
        out.append(word)
        size += len(word.encode())
    return "".join(out).encode()[:SIZE].decode(errors="ignore")


def train(kind, texts):
    if kind == "BPE, byte-level":
        t = Tokenizer(models.BPE())
        t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=30000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    elif kind == "BPE, pieces":
        t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
        t.normalizer = normalizers.Replace(" ", "▁")
        t.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
        trainer = trainers.BpeTrainer(vocab_size=30000, special_tokens=["<unk>"], show_progress=False)
    elif kind == "Unigram":
        t = Tokenizer(models.Unigram())
        t.normalizer, t.pre_tokenizer, t.decoder = normalizers.NFKC(), pre_tokenizers.Metaspace(), decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=20000, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False)
    else:
        t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        t.normalizer, t.pre_tokenizer, t.decoder = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=20000, special_tokens=["[UNK]"], show_progress=False)
    t.train_from_iterator([line for text in texts for line in text.split("\n")], trainer)
    return t.to_str()


def synthetic(kind, count):
    """A vocabulary of that many tokens, whose merges join what was joined before."""
    rng = random.Random(count)
    alphabet = pre_tokenizers.ByteLevel.alphabet() if kind == "byte-level" else ["▁"] + [chr(c) for c in range(0x21, 0x7F)] + [chr(0x4E00 + i) for i in range(8000)]
    vocab, merges, tokens = {}, [], sorted(alphabet)
    for t in tokens:
        vocab[t] = len(vocab)
    while len(vocab) < count:
        a, b = tokens[int(rng.random() ** 3 * len(tokens))], tokens[int(rng.random() ** 3 * len(tokens))]
        if a + b not in vocab and len(a) + len(b) < 16:
            vocab[a + b] = len(vocab)
            tokens.append(a + b)
            merges.append([a, b])
            for cut in range(1, len(a + b)) if kind == "pieces" else ():  # as conversion from SentencePiece has them: each way to cut it
                if (a + b)[:cut] in vocab and (a + b)[cut:] in vocab and [(a + b)[:cut], (a + b)[cut:]] != [a, b]:
                    merges.append([(a + b)[:cut], (a + b)[cut:]])
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return json.dumps({"version": "1.0", "added_tokens": [{"id": count + i, "content": f"<unused{i}>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
                                                         for i in range(6000 if kind == "pieces" else 200)],
                       "normalizer": None if kind == "byte-level" else {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
                       "pre_tokenizer": byte_level if kind == "byte-level" else None, "post_processor": None, "decoder": byte_level if kind == "byte-level" else None,
                       "model": {"type": "BPE", "unk_token": None, "vocab": vocab, "merges": merges}}, ensure_ascii=False, indent=2)


def least(work, times=5):
    best = 1e9
    for _ in range(times):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def compare_encoding(pipe, name, source, texts):
    pipe.ask("L", source.encode())
    tokenizer = Tokenizer.from_str(source)
    for kind, text in texts.items():
        data = text.encode()
        mine, ids = struct.unpack("<d", pipe.ask("T", data))[0], pipe.ask("E", data)
        theirs = least(lambda: tokenizer.encode(text), 3)
        same = list(struct.unpack(f"<{len(ids) // 4}I", ids)) == tokenizer.encode(text).ids
        print(f"{name[-32:]:32} {kind:8} {len(data) / 1e6 / mine:8.1f} MB/s {len(data) / 1e6 / theirs:8.1f} MB/s  {theirs / mine:6.1f} times {'' if same else '  OTHER IDS'}", flush=True)


def compare_loading(pipe, cache, kind, count):
    source = synthetic(kind, count)
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "tokenizer.json"), "w", encoding="utf-8") as f:
            f.write(source)
        theirs = least(lambda: Tokenizer.from_file(os.path.join(directory, "tokenizer.json")), 2)
        first = least(lambda: pipe.ask("L", source.encode()), 2)
        kept = struct.unpack("<d", pipe.ask("O", directory.encode()))[0]
        pipe.ask("L", b'{"model":{"type":"WordLevel","unk_token":"a","vocab":{"a":0}}}')
        print(f"{count} tokens, {kind:10}, {len(source.encode()) / 1e6:5.1f} MB: {1e3 * kept:6.1f} ms from the cache, {1e3 * first:6.1f} ms without; the package {1e3 * theirs:6.1f} ms", flush=True)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as cache:
        pipe = Pipe(sys.argv[1], cache)
        texts = {"English": collect("**/*.py", prose), "code": collect("**/*.py", str), "Chinese": chinese()}
        print(f"encoding {', '.join(f'{len(t.encode()) / 1e6:.2f} MB of {k}' for k, t in texts.items())}: ours, the package's (tokenizers {tokenizers.__version__})")
        if sys.argv[2:]:
            for path in sys.argv[2:]:
                compare_encoding(pipe, path, (pipe.ask("G", path.encode()).decode() if path.endswith(".gguf") else open(path, encoding="utf-8").read()), texts)
        else:
            for kind in ("BPE, byte-level", "BPE, pieces", "Unigram", "WordPiece"):
                compare_encoding(pipe, kind, train(kind, texts.values()), texts)
        for kind, count in (("byte-level", 150000), ("byte-level", 262000), ("pieces", 262000)):
            compare_loading(pipe, cache, kind, count)


if __name__ == "__main__":
    main()
