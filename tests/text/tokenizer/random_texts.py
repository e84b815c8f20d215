"""Texts for the tests of tokenizers: made by chance, of every plane of Unicode and of what is awkward in it."""

WORDS = """the quick brown fox jumps over the lazy dog Hello, world! I'm you're we've don't IT'S He'LL they'd naïve café déjà
función größer Straße ÉCOLE Ελληνικά Привет мир Ёлка שלום עולם مرحبا بالعالم नमस्ते दुनिया สวัสดี ชาวโลก 你好世界 日本語 テキスト ひらがな 한국어
안녕하세요 Việt Nam ქართული ᏣᎳᎩ አማርኛ বাংলা தமிழ் ไทย 3.14159 1000000 2024-02-30 0xDEADBEEF ①②③ Ⅷ ½ ²³ ١٢٣ १२३ x² https://example.org/a?b=c&d=e
def f(x): return x+1; if (a<b && c>=d) { printf("%d\\n", i++); } // comment /* ... */ #include <stdio.h> foo_bar fooBar FOO::bar() <tag attr='v'> </tag> $x = @y; [1,2,3] ~!@#$%^&*()_+`-= «quote» “curly” ‘single’ … — – ‐
👋 👩‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️ 👍🏽 🏴‍☠️ e\u0301 a\u0323\u0307 q\u0307\u0323 \u1100\u1161\u11a8 \uac00\u11a8 \u0958 ﬁ ﷺ ℵ Å Ω ㎏ ｆｕｌｌ ｶﾞ İstanbul ıI ẞß ς Σίσυφος ΣΑΣ ǅ ŉ""".split()
GAPS = [" "] * 24 + ["  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n ", "\u00a0", "\u3000", "\u2028", "\u200b", "\u2009", "", "", "      ", "\x0b", "\x85"]
ODD = "\x00\x01\x07\x08\x0b\x0c\x0e\x1b\x1c\x1d\x1e\x1f\x7f\x80\x85\x9f\u00a0\u00ad\u0130\u0131\u017f\u0300\u0301\u0307\u0323\u0327\u0345\u034f\u03a3\u0483\u0488" \
      "\u0600\u061c\u0640\u064b\u0660\u070f\u0903\u093c\u094d\u0e33\u1680\u180e\u1ab0\u1e9e\u200b\u200c\u200d\u200e\u2028\u2029\u202e\u202f\u205f\u2060\u20ac\u20dd" \
      "\u212a\u2160\u24b6\u24d0\u2581\u2e2f\u3000\u302a\u3099\u309b\ua66f\ufb1d\ufdfa\ufe0f\ufe20\ufeff\uff10\uff3f\ufffc\ufffd\uffff" \
      "\U00010000\U00010341\U0001d165\U0001d7ce\U0001f130\U0001f1e6\U0001f3fb\U000e0041\U000e0100\U0010ffff"
BLOCKS = [(0x20, 0x7E), (0xA0, 0x24F), (0x250, 0x36F), (0x370, 0x52F), (0x530, 0x6FF), (0x700, 0xDFF), (0xE00, 0x11FF), (0x1200, 0x1CFF), (0x1D00, 0x1FFF),
          (0x2000, 0x2BFF), (0x2C00, 0x2FFF), (0x3000, 0x33FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA000, 0xABFF), (0xAC00, 0xD7FF), (0xE000, 0xFAFF),
          (0xFB00, 0xFFFF), (0x10000, 0x10FFF), (0x11000, 0x12FFF), (0x13000, 0x17FFF), (0x18000, 0x1CFFF), (0x1D000, 0x1F000), (0x1F000, 0x1FFFF),
          (0x20000, 0x2FFFF), (0x30000, 0x3FFFF), (0xE0000, 0xE01FF), (0xF0000, 0x10FFFF)]


def any_character(rng):
    while True:
        low, high = rng.choice(BLOCKS) if rng.random() < 0.9 else (0, 0x10FFFF)
        c = rng.randint(low, high)
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def segment(rng, extra):
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(WORDS)
    if kind < 0.55 and extra:
        return rng.choice(extra)
    if kind < 0.65:
        return "".join(rng.choice(ODD) for _ in range(rng.randint(1, 4)))
    if kind < 0.75:
        return "".join(any_character(rng) for _ in range(rng.randint(1, 5)))
    if kind < 0.80:  # marks on a letter
        return rng.choice("aeionZक한") + "".join(chr(rng.randint(0x300, 0x36F)) for _ in range(rng.randint(1, 4)))
    if kind < 0.84:
        return str(rng.randint(0, 10 ** rng.randint(1, 12)))
    if kind < 0.88:
        return rng.choice("aA1 .\n-é\u0301▁") * rng.randint(2, 50 if rng.random() < 0.2 else 8)
    if kind < 0.92:
        return "".join(rng.choice("abcdefghij' .1") for _ in range(rng.randint(1, 30)))
    if kind < 0.96:
        return "".join(rng.choice("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") for _ in range(rng.randint(1, 6)))
    return rng.choice(["<0x41>", "<0xE2>", "<unk>", "▁", "▁▁the", " ▁", "Ġ", "Ċ", "'S", "'ſ", "ſt"])


def text(rng, extra=()):
    """A text; `extra` are pieces that stand in it now and then (added tokens)."""
    if rng.random() < 0.03:
        return rng.choice(["", " ", "  ", "\n", "a", "\u0301", "▁", "\ufffd"])
    parts = []
    for _ in range(rng.randint(1, 12)):
        parts.append(segment(rng, extra))
        if rng.random() < 0.75:
            parts.append(rng.choice(GAPS))
    if rng.random() < 0.1:
        parts.insert(0, rng.choice(GAPS))
    return "".join(parts)
