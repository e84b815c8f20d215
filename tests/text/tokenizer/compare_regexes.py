#!/usr/bin/env python3
"""Compares regular expressions made by chance with those of the `tokenizers` package (Oniguruma), by what Split makes of
texts. Not part of the suite. Usage: compare_regexes.py PIPE [--count N] [--seed N]. Exit status 1 if anything differs."""
import argparse
import random
import struct
import sys

from tokenizers import Regex, pre_tokenizers

import random_texts
from compare_with_tokenizers import Pipe

LETTERS = list("aabbcdeXYZ019 .-_'\n\t") + ["é", "ß", "İ", "ſ", "K", "\u212a", "日", "\u0301", "α", "Σ", "ς", "😀", "\u00a0", "٣", "²", "Ⅷ", "ǅ", "ა"]
PROPERTIES = ["L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "C", "Cc", "Cf",
              "Cn", "Co", "Han", "Latin", "Cyrillic", "Greek", "Hiragana", "Katakana", "Hangul", "Arabic", "Thai", "Alpha", "Digit", "Space", "Upper", "Lower", "Punct", "Alnum",
              "Word", "Letter", "Number", "Punctuation", "Symbol", "Any", "Emoji", "White_Space", "Alphabetic", "Uppercase_Letter", "XDigit", "Blank", "Cntrl", "Graph", "Print", "Ideographic"]
POSIX = ["alpha", "digit", "alnum", "upper", "lower", "punct", "space", "blank", "cntrl", "xdigit", "word", "graph", "print", "ascii"]


def character(rng):
    c = rng.choice(LETTERS)
    if rng.random() < 0.15:
        return rng.choice([r"\n", r"\t", r"\r", r"\x41", r"\x{1F600}", r"\u00e9", r"\x{301}", r"\e", r"\.", r"\-", r"\'", r"\/", r"\ ", r"\_", r"\061", r"\#", r"\&"])
    return "\\" + c if c in ".-" else c


def prop(rng):
    name = rng.choice(PROPERTIES)
    return rng.choice(["\\p{%s}", "\\p{%s}", "\\P{%s}", "\\p{^%s}"]) % name


def element(rng, depth):
    kind = rng.random()
    if kind < 0.35:
        return character(rng)
    if kind < 0.5:
        return rng.choice(["a-c", "0-9", "A-Z", "一-龥", "α-ω", "\\x{300}-\\x{36F}", "b-\\x63", "!-\\/"])
    if kind < 0.65:
        return prop(rng)
    if kind < 0.75:
        return rng.choice(["\\w", "\\d", "\\s", "\\W", "\\D", "\\S", "\\h", "\\H"])
    if kind < 0.85:
        return rng.choice(["[:%s:]", "[:%s:]", "[:^%s:]"]) % rng.choice(POSIX)
    if depth < 2:
        return cls(rng, depth + 1)
    return character(rng)


def cls(rng, depth=0):
    def union():
        return "".join(element(rng, depth) for _ in range(rng.randint(1, 3)))
    inside = union()
    for _ in range(2):
        if rng.random() < 0.2:
            inside += "&&" + union()
    return "[" + ("^" if rng.random() < 0.3 else "") + inside + "]"


def atom(rng, depth):
    kind = rng.random()
    if kind < 0.35:
        return character(rng), True
    if kind < 0.55:
        return cls(rng), True
    if kind < 0.65:
        return prop(rng), True
    if kind < 0.75:
        return rng.choice(["\\w", "\\d", "\\s", "\\S", "\\W", "\\D", "\\h", ".", "."]), True
    if kind < 0.8:
        return rng.choice(["^", "$", "\\b", "\\B", "\\A", "\\z", "\\Z"]), False
    if depth > 2:
        return character(rng), True
    if kind < 0.86:
        return rng.choice(["(?=%s)", "(?!%s)"]) % alternatives(rng, depth + 1), False
    if kind < 0.89:
        return rng.choice(["(?<=%s)", "(?<!%s)"]) % character(rng), False
    return rng.choice(["(?:%s)", "(%s)", "(?i:%s)", "(?i:%s)", "(?>%s)", "(?m:%s)", "(?<n>%s)", "(?-i:%s)"]) % alternatives(rng, depth + 1), True


def sequence(rng, depth):
    out = "(?i)" if rng.random() < 0.03 else ""
    for _ in range(rng.randint(1, 4)):
        text, repeatable = atom(rng, depth)
        if repeatable and rng.random() < 0.4:
            text += rng.choice(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{,2}", "{2,}"]) + rng.choice(["", "", "", "?", "+"])
        out += text
    return out


def alternatives(rng, depth=0):
    return "|".join(sequence(rng, depth) for _ in range(rng.choice([1, 1, 1, 2, 3])))


def oracle(pattern, text):
    """Non-empty matches, and the places where the text is cut, as offsets in characters."""
    spans = [s for _, s in pre_tokenizers.Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(text)]
    cuts = {s[0] for _, s in pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)} - {0, len(text)}
    return spans, cuts


def mine(answer, text):
    spans = list(struct.iter_unpack("<II", answer))
    data = text.encode()
    spans = [tuple(len(data[:i].decode()) for i in span) for span in spans]
    return [s for s in spans if s[0] != s[1]], {i for s in spans for i in s} - {0, len(text)}


def subject(rng):
    text = random_texts.text(rng)[:40]
    return text + "".join(rng.choice(LETTERS) for _ in range(rng.randint(0, 20)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pipe")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--texts", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    pipe = Pipe(args.pipe)
    compared = different = refused_by_us = refused_by_both = taken_by_us = 0
    reasons = {}
    for seed in range(args.seed, args.seed + args.count):
        rng = random.Random(seed)
        pattern = alternatives(rng)
        try:
            Regex(pattern)
            known = True
        except BaseException:
            known = False
        texts = [subject(rng) for _ in range(args.texts)]
        for i, text in enumerate(t for t in texts if t):
            data = pattern.encode()
            status, answer = pipe.ask("R", struct.pack("<I", len(data)) + data + struct.pack("<I", len(text.encode())) + text.encode())
            if status or not known:
                if i == 0:
                    refused_by_both += bool(status) and not known
                    refused_by_us += bool(status) and known
                    taken_by_us += not status and not known
                    if status and known:
                        reason = answer.decode(errors="replace").split('": ')[-1].split(", at byte")[0]
                        reasons.setdefault(reason, pattern)
                break
            try:
                expected = oracle(pattern, text)
            except BaseException as e:  # it gave up after too many steps
                if isinstance(e, KeyboardInterrupt):
                    raise
                break
            compared += 1
            found = mine(answer, text)
            if found != expected:
                different += 1
                print(f"--- {seed}: {pattern!r}\n of     {text!r}\n mine   {found}\n oracle {expected}", flush=True)
                break
    print(f"{args.count} patterns, {compared} texts, {different} differ; refused by us alone {refused_by_us}, by both {refused_by_both}, by the package alone {taken_by_us}")
    for reason, pattern in reasons.items():
        print(f"  refused: {reason}: {pattern!r}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
