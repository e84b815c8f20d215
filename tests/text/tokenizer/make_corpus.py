#!/usr/bin/env python3
"""Writes the fuzzers' first inputs: corpus_tokenizer (a tokenizer.json, a NUL byte, a text) and corpus_regex (a pattern, a
NUL byte, a text)."""
import json
import os

from make_goldens import KINDS, OPTIONS
from random_tokenizers import SPLITS

HERE = os.path.dirname(os.path.abspath(__file__))
BYTES = {"type": "BPE", "vocab": {"h": 0, "e": 1, "l": 2, "Ġ": 3, "he": 4, "ll": 5, "hell": 6, "Ã": 7, "©": 8, "1": 9}, "merges": ["h e", "l l", "he ll"]}
PIECES = {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True,
          "vocab": {"<unk>": 0, "<s>": 1, "<0xC3>": 2, "<0xA9>": 3, "▁": 4, "h": 5, "e": 6, "l": 7, "▁he": 8, "he": 9}, "merges": [["h", "e"], ["▁", "he"]]}
NAMES = ["added normalized", "added lstrip rstrip", "normalizer NFKD", "normalizer Replace regex", "pre_tokenizer Metaspace first True", "pre_tokenizer Sequence",
         "pre_tokenizer ByteLevel before others", "decoder Strip of all", "decoder Replace text of all", "decoder ByteFallback of one", "post_processor that repeats"]


def write(folder, name, head, text):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
    with open(os.path.join(HERE, folder, name.replace(" ", "_")), "wb") as f:
        f.write(head.encode() + b"\0" + text.encode())


def main():
    made = {n: KINDS[n] for n in ("gpt-2", "llama-3", "smollm2", "llama-2", "mistral")} | {n: OPTIONS[n] for n in NAMES}
    for name, tokenizer in made.items():
        byte_level = "ByteLevel" in json.dumps(tokenizer)
        small = {k: v for k, v in tokenizer.items() if v} | {"model": BYTES if byte_level else PIECES}
        write("corpus_tokenizer", name, json.dumps(small, ensure_ascii=False, separators=(",", ":")), "hello <s> h\u00e9 12 \u0301<A>")
    for name in ("llama3", "cased", "han", "thousands", "letter"):
        write("corpus_regex", name, SPLITS[name], "Hello 1234 \u65e5\u672c 'S fooBar")
    write("corpus_regex", "fold", r"(?i)[\p{L}&&[^k]]ss|ß{2,3}+|(?<=s)\b[[:alpha:]-a]", "Maß STRASSE k")


if __name__ == "__main__":
    main()
