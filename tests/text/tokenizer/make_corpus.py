#!/usr/bin/env python3
"""Writes the fuzzers' first inputs: corpus_tokenizer (a tokenizer.json, a NUL byte, a text), corpus_compiled (changes, and
the same) and corpus_regex (a pattern, a NUL byte, a text)."""
import json
import os

from make_goldens import KINDS, OPTIONS
from random_tokenizers import SPLITS

HERE = os.path.dirname(os.path.abspath(__file__))
BYTES = {"type": "BPE", "vocab": {"h": 0, "e": 1, "l": 2, "Ġ": 3, "he": 4, "ll": 5, "hell": 6, "Ã": 7, "©": 8, "1": 9}, "merges": ["h e", "l l", "he ll"]}
PIECES = {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True,
          "vocab": {"<unk>": 0, "<s>": 1, "<0xC3>": 2, "<0xA9>": 3, "▁": 4, "h": 5, "e": 6, "l": 7, "▁he": 8, "he": 9}, "merges": [["h", "e"], ["▁", "he"]]}
SMALL = {
    "Unigram": {"type": "Unigram", "unk_id": 0, "byte_fallback": True, "vocab": [["<unk>", 0], ["▁", -1], ["h", -2.5], ["e", -2], ["he", -3], ["ll", -4], ["<0xC3>", -9], ["<0xA9>", -9], ["▁he", -3.5]]},
    "WordPiece": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 9, "vocab": {"[UNK]": 0, "h": 1, "##e": 2, "he": 3, "##llo": 4, "##l": 5, "é": 6}},
    "WordLevel": {"type": "WordLevel", "unk_token": "e", "vocab": {"hello": 0, "e": 1}},
    "dressed": {"type": "BPE", "unk_token": "<unk>", "continuing_subword_prefix": "##", "end_of_word_suffix": "</w>", "vocab": {"<unk>": 0, "h": 1, "##e": 2, "##l": 3, "##o</w>": 4, "he": 5, "##lo</w>": 6},
                "merges": [["h", "##e"], ["##l", "##o</w>"]]},
}
COMPILED = {"gpt-2": b"\0", "mistral": b"\1\x90\1\0\0\7", "bert": b"\0", "t5": b"\2\x20\2\0\0\xff\x21\2\0\0\1", "clip": b"\0", "model WordLevel": b"\0"}  # and what to change
SMALL_OF = {"bert": "WordPiece", "t5": "Unigram", "xlm-r": "Unigram", "clip": "dressed", "model WordLevel": "WordLevel"}
NAMES = ["normalizer BertNormalizer accents by default", "normalizer Nmt", "normalizer Precompiled", "pre_tokenizer BertPreTokenizer", "pre_tokenizer FixedLength", "decoder WordPiece of one",
         "decoder BPEDecoder", "decoder CTC", "model WordLevel", "added normalized", "added lstrip rstrip", "normalizer NFKD", "normalizer Replace regex", "pre_tokenizer Metaspace first True", "pre_tokenizer Sequence",
         "pre_tokenizer ByteLevel before others", "decoder Strip of all", "decoder Replace text of all", "decoder ByteFallback of one", "post_processor that repeats"]


def write(folder, name, head, text, before=b""):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
    with open(os.path.join(HERE, folder, name.replace(" ", "_")), "wb") as f:
        f.write(before + head.encode() + b"\0" + text.encode())


def main():
    made = {n: KINDS[n] for n in ("gpt-2", "llama-3", "smollm2", "llama-2", "mistral", "bert", "t5", "xlm-r", "clip")} | {n: OPTIONS[n] for n in NAMES}
    for name, tokenizer in made.items():
        byte_level = "ByteLevel" in json.dumps(tokenizer)
        small = {k: v for k, v in tokenizer.items() if v} | {"model": SMALL[SMALL_OF[name]] if name in SMALL_OF else BYTES if byte_level else PIECES}
        text = json.dumps(small, ensure_ascii=False, separators=(",", ":"))
        write("corpus_tokenizer", name, text, "hello <s> h\u00e9 12 \u0301<A>")
        if name in COMPILED:
            write("corpus_compiled", name, text, "hello <s> h\u00e9", COMPILED[name])
    for name in ("llama3", "cased", "han", "thousands", "letter"):
        write("corpus_regex", name, SPLITS[name], "Hello 1234 \u65e5\u672c 'S fooBar")
    write("corpus_regex", "fold", r"(?i)[\p{L}&&[^k]]ss|ß{2,3}+|(?<=s)\b[[:alpha:]-a]", "Maß STRASSE k")


if __name__ == "__main__":
    main()
