"""Tokenizers that the `tokenizers` package trains, one for each component and option of it: what stays random in
random_tokenizers.py is here as training leaves it."""
import itertools

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import random_texts
from random_tokenizers import SPLITS

SPECIAL = ["<unk>", "<s>", "</s>", "<pad>"]
BEHAVIORS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]


def corpus(rng):
    lines = [" ".join(rng.choice(random_texts.WORDS) for _ in range(rng.randint(3, 20))) for _ in range(1500)]
    return lines + [random_texts.text(rng) for _ in range(500)]


def trainer_for(model, byte_level, options):
    alphabet = pre_tokenizers.ByteLevel.alphabet() if byte_level else []
    if isinstance(model, models.BPE):
        return trainers.BpeTrainer(vocab_size=1200, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False, **options)
    if isinstance(model, models.WordPiece):
        return trainers.WordPieceTrainer(vocab_size=1200, special_tokens=["[UNK]", "[CLS]", "[SEP]"], initial_alphabet=alphabet, show_progress=False, **options)
    if isinstance(model, models.Unigram):
        return trainers.UnigramTrainer(vocab_size=8000, special_tokens=SPECIAL, unk_token="<unk>", initial_alphabet=alphabet, show_progress=False, **options)
    return trainers.WordLevelTrainer(vocab_size=3000, special_tokens=SPECIAL, show_progress=False, **options)


def made(lines, model, normalizer=None, pre_tokenizer=None, decoder=None, post=None, byte_level=False, added=(), special=(), **options):
    t = Tokenizer(model)
    if normalizer:
        t.normalizer = normalizer
    if pre_tokenizer:
        t.pre_tokenizer = pre_tokenizer
    if decoder:
        t.decoder = decoder
    t.train_from_iterator(lines, trainer_for(model, byte_level, options))
    t.add_tokens(list(added))
    t.add_special_tokens(list(special))
    if post:
        t.post_processor = post(t)
    return t


def byte_bpe(lines, pre=None, normalizer=None, **more):
    steps = ([pre] if pre else []) + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre is None)]
    return made(lines, models.BPE(), normalizer, pre_tokenizers.Sequence(steps), decoders.ByteLevel(), byte_level=True, **more)


def pieces(lines, model=None, **more):
    more.setdefault("pre_tokenizer", pre_tokenizers.Metaspace())
    more.setdefault("decoder", decoders.Metaspace())
    return made(lines, model or models.BPE(unk_token="<unk>"), **more)


def template(t):
    ids = {name: t.token_to_id(name) for name in ("<s>", "</s>", "[CLS]", "[SEP]") if t.token_to_id(name) is not None}
    first, last = list(ids)[0], list(ids)[-1]
    return processors.TemplateProcessing(single=f"{first} $A {last}", pair=f"{first} $A {last} $B:1 {last}:1", special_tokens=list(ids.items()))


def with_tokens(tokenizer, count, byte=lambda b: f"<0x{b:02X}>"):
    """The same with tokens for bytes, as byte_fallback wants them."""
    import json
    data = json.loads(tokenizer.to_str())
    vocab = data["model"]["vocab"]
    names = [byte(b) for b in range(256)][:count]
    if isinstance(vocab, dict):
        for name in names:
            vocab.setdefault(name, len(vocab))
    else:
        vocab += [[name, -20.0] for name in names]
    data["model"]["byte_fallback"] = True
    return Tokenizer.from_str(json.dumps(data))


def normalizer_cases():
    N = normalizers
    yield from ((name, getattr(N, name)()) for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt"))
    yield from ((f"Strip {a} {b}", N.Strip(a, b)) for a, b in itertools.product((True, False), repeat=2))
    yield from ((f"BertNormalizer {a} {b} {c} {d}", N.BertNormalizer(a, b, c, d)) for a, b, c, d in
                [(True, True, None, True), (False, False, False, False), (True, False, True, False), (False, True, None, False)])
    yield from ((f"Replace {a!r}", N.Replace(a if isinstance(a, str) else a, b)) for a, b in [(" ", "▁"), (Regex(r"\s+"), " "), (Regex(r"(?i)the"), ""), ("e", "é")])
    yield "Prepend", N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])
    yield "Sequence", N.Sequence([N.NFD(), N.StripAccents(), N.Lowercase(), N.Strip(), N.Replace(Regex(" {2,}"), " ")])


def pre_tokenizer_cases():
    P = pre_tokenizers
    yield from ((name, getattr(P, name)()) for name in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer"))
    yield from ((f"Digits {a}", P.Sequence([P.WhitespaceSplit(), P.Digits(a)])) for a in (True, False))
    yield from ((f"Punctuation {b}", P.Punctuation(b)) for b in BEHAVIORS)
    yield from ((f"Metaspace {s} {split}", P.Metaspace("▁", s, split)) for s in ("always", "first", "never") for split in (True, False))
    yield from ((f"Split {n} {b} {i}", P.Split(Regex(SPLITS[n]), b, i)) for n, (b, i) in
                zip(itertools.cycle(["spaces", "words", "numbers", "letter", "punct", "line", "maybe"]), itertools.product(BEHAVIORS, (True, False))))
    yield from ((f"Split ' ' {b}", P.Split(" ", b)) for b in BEHAVIORS)
    yield "CharDelimiterSplit", P.CharDelimiterSplit("e")
    yield "FixedLength", P.FixedLength(5)
    yield "Sequence", P.Sequence([P.WhitespaceSplit(), P.Punctuation(), P.Digits(True), P.Split("e", "merged_with_previous")])


def added_cases():
    words = ["the", "Hello", "日本", "é", "naïve", "def", "  ", "\n", "▁", "👍", "ab", "1000"]
    for kind in ("lstrip", "rstrip", "single_word", "normalized"):
        for value in (True, False):
            yield f"added {kind} {value}", [AddedToken(w, **{kind: value}) for w in words]
    yield "added all", [AddedToken(w, lstrip=i % 2 == 0, rstrip=i % 3 == 0, single_word=i % 4 == 0, normalized=i % 5 == 0) for i, w in enumerate(words)]


def cases(rng):
    """Names, and functions that train."""
    lines = corpus(rng)
    marks = [AddedToken("<|im_start|>"), AddedToken("<|im_end|>", rstrip=True), AddedToken("<think>", lstrip=True, normalized=False)]
    for name, split in SPLITS.items():
        yield f"byte-level BPE, {name}", lambda split=split: byte_bpe(lines, pre_tokenizers.Split(Regex(split), "isolated"), special=marks)
    yield "byte-level BPE, own regex", lambda: byte_bpe(lines, None, normalizers.NFC(), post=template)
    yield "byte-level BPE, prefix space", lambda: made(lines, models.BPE(), None, pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel(),
                                                       lambda t: processors.ByteLevel(trim_offsets=True), byte_level=True, special=marks)
    yield "byte-level BPE, Roberta", lambda: made(lines, models.BPE(), None, pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel(),
                                                  lambda t: processors.RobertaProcessing(("</s>", 2), ("<s>", 1)), byte_level=True)
    yield "byte-level normalizer", lambda: made(lines, models.BPE(), normalizers.ByteLevel(), None, decoders.ByteLevel(), byte_level=True)
    yield "byte-level Unigram", lambda: made(lines, models.Unigram(), None, pre_tokenizers.ByteLevel(), decoders.ByteLevel(), byte_level=True)
    yield "byte-level WordPiece", lambda: made(lines, models.WordPiece(unk_token="[UNK]"), None, pre_tokenizers.ByteLevel(), decoders.ByteLevel(), byte_level=True)
    for fuse, ignore in itertools.product((True, False), repeat=2):
        yield f"BPE, fuse_unk {fuse}, ignore_merges {ignore}", lambda fuse=fuse, ignore=ignore: pieces(lines, models.BPE(unk_token="<unk>", fuse_unk=fuse, ignore_merges=ignore), post=template)
    yield "BPE, no unknown token", lambda: pieces(lines, models.BPE())
    yield "BPE, prefix", lambda: made(lines, models.BPE(unk_token="<unk>", continuing_subword_prefix="##"), None, pre_tokenizers.WhitespaceSplit(), decoders.WordPiece(), continuing_subword_prefix="##")
    yield "BPE, suffix", lambda: made(lines, models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"), normalizers.Lowercase(), pre_tokenizers.Whitespace(), decoders.BPEDecoder(), end_of_word_suffix="</w>")
    fallback = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    start = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    for fuse in (True, False):
        yield f"BPE, byte_fallback, fuse_unk {fuse}", lambda fuse=fuse: with_tokens(made(lines, models.BPE(unk_token="<unk>", fuse_unk=fuse), start, pre_tokenizers.Split("▁", "merged_with_next"), fallback), 256)
    yield "BPE, byte_fallback, bytes missing", lambda: with_tokens(made(lines, models.BPE(unk_token="<unk>"), start, pre_tokenizers.Split("▁", "merged_with_next"), fallback), 200)
    yield "Unigram", lambda: pieces(lines, models.Unigram(), post=template, special=marks)
    yield "Unigram, NFKC", lambda: pieces(lines, models.Unigram(), normalizer=normalizers.NFKC(), added=marks)
    yield "Unigram, byte_fallback", lambda: with_tokens(pieces(lines, models.Unigram(), decoder=fallback), 256)
    yield "WordPiece, BERT", lambda: made(lines, models.WordPiece(unk_token="[UNK]"), normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), decoders.WordPiece(),
                                          lambda t: processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1)))
    yield "WordPiece, short words", lambda: made(lines, models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=6), None, pre_tokenizers.Whitespace(), decoders.WordPiece(prefix="##", cleanup=False), template)
    yield "WordLevel", lambda: made(lines, models.WordLevel(unk_token="<unk>"), None, pre_tokenizers.Whitespace())
    yield "CTC", lambda: made(lines, models.WordLevel(unk_token="<unk>"), None, pre_tokenizers.Split("", "isolated"), decoders.CTC())
    for name, normalizer in normalizer_cases():
        yield f"normalizer {name}", lambda normalizer=normalizer: pieces(lines, normalizer=normalizer)
    for name, pre in pre_tokenizer_cases():
        yield f"pre-tokenizer {name}", lambda pre=pre: made(lines, models.BPE(unk_token="<unk>"), None, pre)
    for name, added in added_cases():
        yield f"{name}, BPE", lambda added=added: byte_bpe(lines, added=added)
        yield f"{name}, lower case", lambda added=added: pieces(lines, normalizer=normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase()]), special=added)
    yield "processors in sequence", lambda: byte_bpe(lines, post=lambda t: processors.Sequence([processors.ByteLevel(trim_offsets=False), template(t)]))
