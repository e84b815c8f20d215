"""Tokenizers made by chance, as the JSON that tokenizer.json holds: every component and option that the program knows, in
every order, also where no real tokenizer has it."""
import base64
import random
import struct

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


def double_array(strings):
    """A trie as SentencePiece's maps have it: the children of a unit stand at its place ^ its offset ^ their byte."""
    units, taken = {}, {0}

    def place(at, label, keys):
        keys = sorted(keys.items())
        here = [v for k, v in keys if not k]
        children = {}
        for key, value in keys:
            if key:
                children.setdefault(key[0], {})[key[1:]] = value
        labels = ([0] if here else []) + list(children)
        base = 0
        while any(base ^ b in taken for b in labels):
            base += 1
        taken.update(base ^ b for b in labels)
        units[at] = (at ^ base) << 10 | bool(here) << 8 | label
        if here:
            units[base] = here[0] | 1 << 31
        for b, rest in children.items():
            place(base ^ b, b, rest)

    place(0, 0, strings)
    return [units.get(i, 0) for i in range((max(units) | 255) + 1)]  # a place ^ a byte is never behind it


def charsmap(mapping):
    """The field of a Precompiled normalizer that makes other texts of some."""
    texts, places = b"", {}
    for key, value in mapping.items():
        places[key.encode()] = len(texts)
        texts += value.encode() + b"\0"
    units = double_array(places)
    return base64.b64encode(struct.pack(f"<{len(units) + 1}I", 4 * len(units), *units) + texts).decode()


MAPPED = ["a", "ab", "e", "é", "e\u0301", "\u0301", "ﬁ", "①", "½", "ｆ", "ｕ", "か\u3099", "\u3099", "\u00a0", "\t", "\n", "\r\n", "\r", " ", "\u0308", "\u200d", "©", "ß", "İ", "한", "\u1100",
          "日", "क", "\u094d", "😀", "👩", "ﷺ", "\u0600", "T", "the", "1", "\u200b"]


def random_charsmap(rng):
    return charsmap({k: rng.choice(["", "", " ", "a", "ab", "the", "é", "e\u0301", "日本", "1⁄2", "▁"]) for k in rng.sample(MAPPED, rng.randint(1, len(MAPPED)))})


def sentencepiece_charsmap(rule, cache={}):
    """The map that SentencePiece itself has for a rule, or None without the package."""
    if rule not in cache:
        try:
            import io
            import sentencepiece
            from sentencepiece import sentencepiece_model_pb2
            made = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(WORDS), model_writer=made, vocab_size=300, hard_vocab_limit=False,
                                                     normalization_rule_name=rule, minloglevel=9)
            model = sentencepiece_model_pb2.ModelProto.FromString(made.getvalue())
            cache[rule] = base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
        except ImportError:
            cache[rule] = None
    return cache[rule]


def precompiled(rng):
    real = sentencepiece_charsmap(rng.choice(["nmt_nfkc", "nmt_nfkc_cf", "nfkc"])) if rng.random() < 0.5 else None
    return {"type": "Precompiled", "precompiled_charsmap": real or random_charsmap(rng)}


def bert_normalizer(rng):
    return {"type": "BertNormalizer", "clean_text": rng.random() < 0.7, "handle_chinese_chars": rng.random() < 0.7, "strip_accents": rng.choice([None, None, True, False]),
            "lowercase": rng.random() < 0.5}


def pattern(rng):
    kind = rng.random()
    if kind < 0.75:
        return {"Regex": rng.choice(list(SPLITS.values()))}
    return {"String": rng.choice([" ", "▁", "e", "th", "the", "\n", "12", ".", "", "é", "aa", "\u0301"])}


def normalizer(rng, depth=0):
    kind = rng.choice(["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "Replace", "Replace", "Prepend", "Prepend", "ByteLevel", "Sequence",
                       "BertNormalizer", "Nmt", "Precompiled", "Precompiled"])
    if kind == "BertNormalizer":
        return bert_normalizer(rng)
    if kind == "Precompiled":
        return precompiled(rng)
    if kind == "Strip":
        return {"type": kind, "strip_left": rng.random() < 0.5, "strip_right": rng.random() < 0.5}
    if kind == "Replace":
        what = pattern(rng)
        if what == {"String": ""}:  # with ByteLevel the package gives up, or puts what is inserted first twice
            what = {"String": "th"}
        return {"type": kind, "pattern": what, "content": rng.choice(["▁", "", "_", "ab", " ", "\u0301", "é"])}
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
    kind = rng.choice(["Split", "Split", "Split", "ByteLevel", "ByteLevel", "Digits", "Metaspace", "Whitespace", "WhitespaceSplit", "Punctuation", "Sequence",
                       "BertPreTokenizer", "CharDelimiterSplit", "FixedLength"])
    if kind == "CharDelimiterSplit":
        return {"type": kind, "delimiter": rng.choice(" e▁é\n")}
    if kind == "FixedLength":
        return {"type": kind, "length": rng.randint(1, 7)}
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
    kind = rng.choice(["ByteLevel", "ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace", "Sequence", "Sequence", "WordPiece", "BPEDecoder", "CTC"])
    if kind == "WordPiece":
        return {"type": kind, "prefix": rng.choice(["##", "▁", "e"]), "cleanup": rng.random() < 0.6}
    if kind == "BPEDecoder":
        return {"type": kind, "suffix": rng.choice(["</w>", "e", "▁"])}
    if kind == "CTC":
        return {"type": kind, "pad_token": rng.choice(["<pad>", "e", "<unk>"]), "word_delimiter_token": rng.choice(["|", "▁", "t"]), "cleanup": rng.random() < 0.5}
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


def start_tokens(rng, byte_level):
    """Whether there is an unknown token, whether there are tokens for bytes, and the tokens for both."""
    unk = rng.random() < (0.2 if byte_level else 0.8)
    fallback = rng.random() < (0.1 if byte_level else 0.5)
    return unk, fallback, ["<unk>"] * unk + (["<0x%02X>" % b for b in range(256) if rng.random() < 0.995 or rng.random() < 0.7] if fallback else [])


def some_words(rng, byte_level):
    words = rng.choices(WORDS, k=80)
    return [spell((" " if rng.random() < 0.6 else "") + w) for w in words] if byte_level else [("▁" if rng.random() < 0.4 else "") + w for w in words]


def parts_of(rng, words, count):
    out = []
    for _ in range(count):
        word = rng.choice(words)
        start = rng.randrange(len(word))
        out.append(word[start:start + rng.choice([1, 2, 2, 3, 4, 6, 20])])
    return out


def unigram(rng, byte_level):
    words = some_words(rng, byte_level)
    unk, fallback, start = start_tokens(rng, byte_level)
    pieces = start + sorted({c for w in words for c in w if rng.random() < 0.9}) + parts_of(rng, words, rng.randint(5, 200)) + rng.choices(words, k=20)
    if rng.random() < 0.9:
        pieces = list(dict.fromkeys(pieces))
    score = rng.choice([lambda: -rng.random() * 12, lambda: -float(rng.randint(0, 6)), lambda: rng.choice([-0.5, 0, -1.25, 2.0])])
    made = {"type": "Unigram", "unk_id": rng.choice([0, 0, 0, rng.randrange(len(pieces))]) if unk else None, "vocab": [[p, score()] for p in pieces], "byte_fallback": fallback}
    if not fallback and rng.random() < 0.3:
        del made["byte_fallback"]
    return made


def word_piece(rng, byte_level):
    words = some_words(rng, byte_level)
    prefix = rng.choice(["##", "##", "##", "", "é", "▁"])
    pieces = sorted({c for w in words for c in w if rng.random() < 0.9}) + parts_of(rng, words, rng.randint(20, 200))
    vocab = (["[UNK]", "[CLS]", "[SEP]"] if rng.random() < 0.95 else []) + pieces + [prefix + p for p in pieces if rng.random() < 0.8] + rng.choices(words, k=20) + [prefix] * (rng.random() < 0.3)
    vocab = list(dict.fromkeys(v for v in vocab if v))
    return {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": prefix, "max_input_chars_per_word": rng.choice([100, 100, 5, 20, 0]),
            "vocab": {v: i for i, v in enumerate(vocab)}}


def word_level(rng, byte_level):
    words = list(dict.fromkeys((["<unk>"] if rng.random() < 0.9 else []) + some_words(rng, byte_level) + list("abcdefgh., '")))
    return {"type": "WordLevel", "vocab": {w: i for i, w in enumerate(words)}, "unk_token": "<unk>"}


def dressed_bpe(rng):
    """BPE whose characters wear a prefix inside of words and a suffix at their ends."""
    prefix, suffix = rng.choice([("##", None), ("##", None), (None, "</w>"), (None, "</w>"), ("é", "</w>"), ("", "")])
    words = rng.choices(WORDS, k=60)
    dressed = [[(prefix or "") * (i > 0) + c + (suffix or "") * (i == len(w) - 1) for i, c in enumerate(w)] for w in words]
    unk, fallback, vocab = start_tokens(rng, False)
    vocab += sorted({c for w in dressed for c in w if rng.random() < 0.95})
    vocab = list(dict.fromkeys(vocab))
    merges, cut = [], len((prefix or "").encode())
    for _ in range(rng.randint(0, 150)):
        word = rng.choice(dressed)
        i = rng.randrange(len(word) - 1) if len(word) > 1 else None
        if i is None or word[i] not in vocab or word[i + 1] not in vocab or [word[i], word[i + 1]] in merges:
            continue
        a, b = word[i], word[i + 1]
        joined = a + b.encode()[cut:].decode()
        merges.append([a, b])
        if joined not in vocab:
            vocab.append(joined)
        for w in dressed:
            for k in range(len(w) - 2, -1, -1):
                if k + 1 < len(w) and w[k] == a and w[k + 1] == b:
                    w[k:k + 2] = [joined]
    return {"type": "BPE", "dropout": None, "unk_token": "<unk>" if unk else None, "continuing_subword_prefix": prefix, "end_of_word_suffix": suffix,
            "fuse_unk": rng.random() < 0.5, "byte_fallback": fallback, "ignore_merges": rng.random() < 0.2, "vocab": {v: i for i, v in enumerate(vocab)}, "merges": merges}


def model(rng, byte_level):
    kind = rng.random()
    if kind < 0.15:
        return unigram(rng, byte_level)
    if kind < 0.25:
        return word_piece(rng, byte_level)
    if kind < 0.3:
        return word_level(rng, byte_level)
    if kind < 0.4:
        return dressed_bpe(rng)
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


def ids_of(model):
    """Token to id, as the package has it."""
    return model["vocab"] if isinstance(model["vocab"], dict) else {p: i for i, (p, _) in enumerate(model["vocab"])}


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


def post_processor(rng, vocab):
    kind = rng.random()
    if kind < 0.4:
        return None
    if kind < 0.5:
        return {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": rng.random() < 0.5, "use_regex": True}
    names = rng.sample(sorted(vocab), min(len(vocab), 2))
    if kind < 0.56:
        return {"type": "BertProcessing", "sep": [names[0], vocab[names[0]]], "cls": [names[-1], vocab[names[-1]]]}
    if kind < 0.62:
        return {"type": "RobertaProcessing", "sep": [names[0], vocab[names[0]]], "cls": [names[-1], vocab[names[-1]]], "trim_offsets": rng.random() < 0.5, "add_prefix_space": rng.random() < 0.5}
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
    elif kind < 0.36:  # as BERT has it
        norm, pre = bert_normalizer(rng), {"type": "BertPreTokenizer"}
    elif kind < 0.42:  # as T5 and XLM-R have it
        norm = {"type": "Sequence", "normalizers": [precompiled(rng), {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]}
        pre = rng.choice([metaspace(rng), {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace(rng)]}])
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
    ids = ids_of(m)
    added = added_tokens(rng, ids)
    if m["type"] == "WordPiece":
        dec = {"type": "WordPiece", "prefix": m["continuing_subword_prefix"], "cleanup": rng.random() < 0.6}
    else:
        dec = None
    dec = dec if dec and rng.random() < 0.7 else decoder(rng) if rng.random() < 0.4 else usual_decoder(rng, byte_level) if rng.random() < 0.95 else None
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": norm, "pre_tokenizer": pre,
            "post_processor": post_processor(rng, ids), "decoder": dec, "model": m}
