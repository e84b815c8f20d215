"""Tokenizers made by chance, as the JSON that tokenizer.json holds: every component and option that the program knows, in
every order, also where no real tokenizer has it."""
import random

from random_texts import ODD, WORDS, any_character, text

SPLITS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "cased": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
             r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
             r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "han": r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t)?|\p{N}{1,3}|\s+(?!\S)|\s+",
    "deepseek": r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "falcon": r"[0-9][0-9][0-9]",
    "cjk": "[一-龥\u3040-ゟ゠-ヿ]+",
    "numbers": r"\p{N}{1,3}",
    "thousands": r"\d{1,3}(?=(?:\d{3})*\b)",
    "spaces": r"\s+",
    "words": r"\w+|[^\w\s]+",
    "letter": r"(?<=[a-z])(?=[A-Z])",
    "maybe": r"x*",
    "line": r"^\w+|\w+$",
    "punct": r"[[:punct:]]+",
}
FORMS = ["NFC", "NFD", "NFKC", "NFKD"]
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def byte_characters():
    own = [b for b in range(256) if 0x21 <= b <= 0x7E or 0xA1 <= b and b != 0xAD]
    return [chr(b) if b in own else chr(0x100 + [x for x in range(256) if x not in own].index(b)) for b in range(256)]


BYTES = byte_characters()


def spell(text):
    return "".join(BYTES[b] for b in text.encode())


def merge_by_chance(rng, words, alphabet, count):
    """Merges of neighbours that stand in `words`, of some that do not, in an order that is not that of their frequency."""
    vocab, known, merges = list(alphabet), set(alphabet), []
    words = [[c for c in w if c in known] for w in words]
    for _ in range(count):
        word = rng.choice(words)
        if len(word) < 2:
            continue
        i = rng.randrange(len(word) - 1)
        a, b = word[i], word[i + 1]
        if (a, b) in merges:
            continue
        if rng.random() < 0.02:
            b = rng.choice(vocab)
        merges.append((a, b))
        if a + b not in known:
            known.add(a + b)
            vocab.append(a + b)
        for w in words:
            for k in range(len(w) - 2, -1, -1):
                if k + 1 < len(w) and w[k] == a and w[k + 1] == b:
                    w[k:k + 2] = [a + b]
    return vocab, merges


def pattern(rng):
    kind = rng.random()
    if kind < 0.75:
        return {"Regex": rng.choice(list(SPLITS.values()))}
    return {"String": rng.choice([" ", "▁", "e", "th", "the", "\n", "12", ".", "", "é", "aa", "\u0301"])}


def normalizer(rng, depth=0):
    kind = rng.choice(["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "Replace", "Replace", "Prepend", "Prepend", "ByteLevel", "Sequence"])
    if kind == "Strip":
        return {"type": kind, "strip_left": rng.random() < 0.5, "strip_right": rng.random() < 0.5}
    if kind == "Replace":
        return {"type": kind, "pattern": pattern(rng), "content": rng.choice(["▁", "", "_", "ab", " ", "\u0301", "é"])}
    if kind == "Prepend":
        return {"type": kind, "prepend": rng.choice(["▁", " ", "ab", "é"])}
    if kind == "ByteLevel" and rng.random() < 0.7:
        kind = "NFC"
    if kind == "Sequence":
        if depth > 1:
            return {"type": "NFC"}
        return {"type": kind, "normalizers": [normalizer(rng, depth + 1) for _ in range(rng.randint(0, 3))]}
    return {"type": kind}


def metaspace(rng):
    out = {"type": "Metaspace", "replacement": rng.choice("▁▁▁_é"), "prepend_scheme": rng.choice(["always", "first", "never"])}
    if rng.random() < 0.7:
        out["split"] = rng.random() < 0.5
    return out


def pre_tokenizer(rng, depth=0):
    kind = rng.choice(["Split", "Split", "Split", "ByteLevel", "ByteLevel", "Digits", "Metaspace", "Whitespace", "WhitespaceSplit", "Punctuation", "Sequence"])
    if kind == "Split":
        return {"type": kind, "pattern": pattern(rng), "behavior": rng.choice(BEHAVIORS + ["Isolated"] * 3), "invert": rng.random() < 0.3}
    if kind == "ByteLevel":
        out = {"type": kind, "add_prefix_space": rng.random() < 0.4, "trim_offsets": True}
        if rng.random() < 0.8:
            out["use_regex"] = rng.random() < 0.5
        return out
    if kind == "Digits":
        return {"type": kind, "individual_digits": rng.random() < 0.5}
    if kind == "Metaspace":
        return metaspace(rng)
    if kind == "Punctuation":
        return {"type": kind, "behavior": rng.choice(BEHAVIORS)}
    if kind == "Sequence":
        if depth > 1:
            return {"type": "Whitespace"}
        return {"type": kind, "pretokenizers": [pre_tokenizer(rng, depth + 1) for _ in range(rng.randint(0, 4))]}
    return {"type": kind}


def decoder(rng, depth=0):
    kind = rng.choice(["ByteLevel", "ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace", "Sequence", "Sequence"])
    if kind == "ByteLevel":
        return {"type": kind, "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    if kind == "Replace":
        return {"type": kind, "pattern": pattern(rng), "content": rng.choice([" ", "", "_", "<0x41>"])}
    if kind == "Strip":
        return {"type": kind, "content": rng.choice("  ▁e"), "start": rng.randint(0, 3), "stop": rng.randint(0, 3)}
    if kind == "Metaspace":
        return metaspace(rng)
    if kind == "Sequence":
        if depth > 1:
            return {"type": "Fuse"}
        return {"type": kind, "decoders": [decoder(rng, depth + 1) for _ in range(rng.randint(0, 5))]}
    return {"type": kind}


def usual_decoder(rng, byte_level):
    if byte_level:
        return {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    if rng.random() < 0.3:
        return metaspace(rng)
    steps = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    if rng.random() < 0.7:
        steps.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {"type": "Sequence", "decoders": steps}


def has_byte_level(part):
    if part is None:
        return False
    return part["type"] == "ByteLevel" or any(has_byte_level(p) for p in part.get("pretokenizers", []) + part.get("normalizers", []))


def model(rng, byte_level):
    words = rng.choices(WORDS, k=60)
    if byte_level:
        words = [spell((" " if rng.random() < 0.6 else "") + w) for w in words] + [spell(" " * rng.randint(1, 6)), spell("\n\n")]
        alphabet = [c for c in BYTES if rng.random() < 0.98] if rng.random() < 0.3 else list(BYTES)
    else:
        words = [("▁" if rng.random() < 0.6 else "") + w for w in words] + ["▁▁▁", "▁▁"]
        alphabet = sorted({c for w in words for c in w} | set("▁ _\nabcdefghijklmnopqrstuvwxyz0123456789.,'")) + [rng.choice(ODD) for _ in range(5)]
        alphabet = [c for c in dict.fromkeys(alphabet) if rng.random() < 0.9]
    start = []
    unk = rng.random() < (0.2 if byte_level else 0.7)
    if unk:
        start.append("<unk>")
    fallback = rng.random() < (0.1 if byte_level else 0.6)
    if fallback:
        start += ["<0x%02X>" % b for b in range(256) if rng.random() < 0.995 or rng.random() < 0.7]
    vocab, merges = merge_by_chance(rng, words, alphabet, rng.randint(0, 150))
    vocab = start + [v for v in vocab if v not in start]
    if rng.random() < 0.2:
        rng.shuffle(vocab)
    ids = list(range(len(vocab)))
    if rng.random() < 0.15:  # holes
        ids = sorted(rng.sample(range(2 * len(vocab)), len(vocab)))
    if rng.random() < 0.2:
        rng.shuffle(merges)
    return {
        "type": "BPE", "dropout": None, "unk_token": "<unk>" if unk else None,
        "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": rng.random() < 0.5,
        "byte_fallback": fallback, "ignore_merges": rng.random() < 0.3,
        "vocab": dict(zip(vocab, ids)),
        "merges": [list(m) for m in merges] if rng.random() < 0.5 or any(" " in a + b for a, b in merges) else [" ".join(m) for m in merges],
    }


def added_tokens(rng, vocab):
    contents = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<unk>", "<pad>", "the", "th", "é", "e\u0301", " x", "x ", "  ", "\n", "▁", "ab", "abc", "12",
                "İ", "ﬁ", "<s><s>", "日本", "Ω", "a_b", "İx", "ÀÉ", "<S>", " <b> ", "\t"]
    out, used = [], []
    for _ in range(rng.randint(0, 8)):
        content = rng.choice(contents) if rng.random() < 0.8 else rng.choice(list(vocab))
        if rng.random() < 0.05 and used:
            content = rng.choice(used)
        elif content in used:
            continue
        used.append(content)
        plain = rng.random() < 0.5
        flag = (lambda p: False) if plain else (lambda p: rng.random() < p)
        out.append({"id": 0, "content": content, "single_word": flag(0.3), "lstrip": flag(0.3), "rstrip": flag(0.3), "normalized": rng.random() < 0.4, "special": rng.random() < 0.6})
    return out


def place_added(rng, added, vocab):
    """Their ids, as the package gives them: a file says the same."""
    return added


def post_processor(rng, vocab):
    kind = rng.random()
    if kind < 0.4:
        return None
    if kind < 0.5:
        return {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": rng.random() < 0.5, "use_regex": True}
    names = rng.sample(sorted(vocab), min(len(vocab), 2))
    special = {n: {"id": n, "ids": [vocab[n]] if rng.random() < 0.8 else [vocab[n], vocab[names[0]]], "tokens": [n]} for n in names}
    for s in special.values():
        s["tokens"] = [s["id"]] * len(s["ids"])
    single = [{"Sequence": {"id": "A", "type_id": 0}}]
    if rng.random() < 0.8:
        single.insert(0, {"SpecialToken": {"id": names[0], "type_id": 0}})
    if rng.random() < 0.5:
        single.append({"SpecialToken": {"id": names[-1], "type_id": 0}})
    template = {"type": "TemplateProcessing", "single": single, "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": special}
    if kind < 0.75:
        return template
    steps = [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, template]
    return {"type": "Sequence", "processors": steps if rng.random() < 0.7 else steps[:1]}


def tokenizer(rng):
    kind = rng.random()
    norm = pre = None
    if kind < 0.3:  # as byte-level tokenizers are
        norm = rng.choice([None, None, {"type": "NFC"}])
        steps = [{"type": "ByteLevel", "add_prefix_space": rng.random() < 0.2, "trim_offsets": True, "use_regex": rng.random() < 0.5}]
        if rng.random() < 0.6:
            steps.insert(0, {"type": "Split", "pattern": {"Regex": rng.choice(list(SPLITS.values()))}, "behavior": "Isolated", "invert": False})
        if rng.random() < 0.3:
            steps.insert(0, {"type": "Digits", "individual_digits": rng.random() < 0.7})
        pre = steps[0] if len(steps) == 1 else {"type": "Sequence", "pretokenizers": steps}
    elif kind < 0.5:  # as those that come from SentencePiece
        if rng.random() < 0.5:
            steps = [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]
            norm = {"type": "Sequence", "normalizers": steps[rng.random() < 0.3:]}
        else:
            norm = rng.choice([None, {"type": "NFKC"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}])
            pre = metaspace(rng)
    else:
        norm = normalizer(rng) if rng.random() < 0.7 else None
        pre = pre_tokenizer(rng) if rng.random() < 0.8 else None
    byte_level = has_byte_level(pre) or has_byte_level(norm) or rng.random() < 0.05
    m = model(rng, byte_level)
    added = added_tokens(rng, m["vocab"])
    dec = decoder(rng) if rng.random() < 0.4 else usual_decoder(rng, byte_level) if rng.random() < 0.95 else None
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": norm, "pre_tokenizer": pre,
            "post_processor": post_processor(rng, m["vocab"]), "decoder": dec, "model": m}
