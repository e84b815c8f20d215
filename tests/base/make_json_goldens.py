"""json_goldens.txt: documents and what Python's json makes of them; corpus_json: seeds of the fuzzer.

Usage: make_json_goldens.py                    the files of this folder
       make_json_goldens.py FILE SEED COUNT    COUNT random documents of a seed, for `test_json FILE`

A line is the document in hexadecimal, a space, and its value in a form of one line, or "error":
  null n, booleans t f, integers of 64 bits i-12, other numbers d and the 16 digits of the double (NaN: dnan), strings s and
  the bytes in hexadecimal, arrays [a b c], objects {skey=value skey=value} in the order in which the keys first occur.
What we read on purpose otherwise than Python: a byte order mark is skipped, lone surrogates become U+FFFD."""
import json
import pathlib
import random
import struct
import sys

HERE = pathlib.Path(__file__).parent
TABLE = [
    b"null", b"true", b"false", b"0", b"-0", b"-0.0", b"1", b"-1", b"123456789012345678", b"1234567890123456789",
    b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"-9223372036854775809", b"18446744073709551615",
    b"18446744073709551616", b"1" + b"0" * 70, b"0." + b"3" * 90, b"1.5", b"1e5", b"1E+5", b"1e-5", b"-2.5e-3", b"1e400", b"-1e400",
    b"1e-400", b"4.9e-324", b"2.2250738585072011e-308", b"1.7976931348623157e308", b"1.7976931348623159e308",
    b"9007199254740993", b"9007199254740993.0", b"0.1", b"123456789.123456789e-20",
    b"NaN", b"Infinity", b"-Infinity", b"-NaN", b"nan", b"Inf", b"+1", b"01", b"-", b"-01", b".5", b"5.", b"1.e5", b"1e", b"1e+", b"0x10",
    b"1_000", b"1 2", b"--1", b"1-", b"00", b"-0e0", b"0e5", b"0E-0",
    b'""', b'"a"', b'"\\""', b'"\\\\\\/\\b\\f\\n\\r\\t"', b'"\\u0041\\u00e9\\u20AC"', b'"\\u0000"', b'"\\ud83d\\ude00"',
    b'"\\uD83D\\uDE00x"', b'"\\ud83d"', b'"\\ude00"', b'"\\ud83d\\ud83d\\ude00"', b'"\\ud83dx"', b'"\\ud83d\\n"', b'"\\ud83d\\u0041"',
    b'"\\ude00\\ud83d"', b'"\\uD7FF\\uE000\\uFFFF"', b'"\\x41"', b'"\\u12"', b'"\\u12g4"', b'"\\u 123"', b'"\\u+123"', b'"\\', b'"\\"',
    b'"\\u', b'"\\u123', b'"abc', b'"', b"'a'", b'"\t"', b'"\n"', b'"\x00"', b'"\x1f"', b'"\x7f"', b'"a\x00b"',
    "\"h\u00e4\u20ac\U0001f600\"".encode(), b'"\xff"', b'"\xc3"', b'"\xc3(', b'"\xe2\x82"', b'"\xed\xa0\x80"', b'"\xc0\x80"',
    b'"\xf4\x90\x80\x80"', b'"\xf5\x80\x80\x80"', b'"\x80"', b'"abcdefgh\xe9jkl"', b'"abcdefghijkl\xff\\n"', b'"\\n\xff"', b"\xff",
    b"[]", b"[ ]", b"[1]", b"[1,2]", b"[1, 2 ,3 ]", b"[[],[[]],{}]", b"[1,]", b"[,1]", b"[,]", b"[1 2]", b"[1,,2]", b"[", b"[1", b"[1,", b"]",
    b"[1}", b"[[1]", b"[1]]", b"{}", b"{ }", b'{"a":1}', b'{"a" : 1 , "b":[2]}', b'{"a":1,"a":2}', b'{"a":1,"b":2,"a":{"a":3}}',
    b'{"":0}', b'{"a":1,}', b'{,"a":1}', b'{"a"}', b'{"a":}', b'{"a" 1}', b"{1:2}", b"{a:1}", b'{"a":1 "b":2}', b'{"a":1', b'{"a":',
    b'{"a"', b"{", b'{"a":1]', b'{"a":1}}', b'{"\\u0061":1,"a":2}', b'{"a\\u0000b":1}', b'{"\xff":1}', b"{null:1}",
    b"", b" ", b" \t\r\n1 \t\r\n", b"\x0b1", b"\xc2\xa01", b"1\x00", b"\x001", b"\xef\xbb\xbf1", b"\xef\xbb\xbf", b"\xef\xbb1", b"nul", b"nulll",
    b"tru", b"truee", b"falsefalse", b"True", b"None", b"undefined", b"/* */ 1", b"1 // x", b"[1] x", b"1,", b'"a" "b"', b"NaNNaN", b"[NaN,Infinity]",
    b"-Infinit", b"Infinityy", b"[" * 250 + b"]" * 250, b'{"a":' * 200 + b"1" + b"}" * 200,
    b'{"rope_scaling": {"long_factor": [1.0, Infinity], "x": NaN}, "eos_token_id": [1, 2]}',
    b"{" + b", ".join(b'"k%d": %d' % (i, i) for i in range(100)) + b"}",
    b"{" + b", ".join(b'"k%d": %d' % (i % 90, i) for i in range(180)) + b"}",
]


def clean(text):
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace_lone")


def form(value):
    if value is None:
        return "n"
    if value is True or value is False:
        return "t" if value else "f"
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return f"i{value}"
    if isinstance(value, (int, float)):
        try:
            number = float(value)
        except OverflowError:
            number = float("inf") if value > 0 else float("-inf")
        return "dnan" if number != number else "d" + struct.pack(">d", number).hex()
    if isinstance(value, str):
        return "s" + clean(value).encode().hex()
    if isinstance(value, list):
        return "[" + " ".join(map(form, value)) + "]"
    return "{" + " ".join(form(key) + "=" + form(item) for key, item in value.items()) + "}"


def replace_lone(error):
    return "\ufffd", min(error.start + 2, len(error.object))


def expected(document):
    try:
        text = document.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
        return form(json.loads(text, object_pairs_hook=lambda pairs: dict((clean(key), value) for key, value in pairs)))
    except (ValueError, RecursionError):
        return "error"


def random_string(rng):
    pieces = ['a', 'bc ', '\u00e9', '\u4e2d', '\U0001f600', '\\n', '\\u0041', '\\ud83d\\ude00', '\\ud83d', '\\ude00', '\\"', '\\\\', '/', 'abcdefghijk']
    return '"' + "".join(rng.choice(pieces) for _ in range(rng.randrange(6))) + '"'


def random_number(rng):
    kind = rng.randrange(6)
    if kind == 0:
        return str(rng.randrange(-20, 20))
    if kind == 1:
        return str(rng.randrange(-(1 << 66), 1 << 66))
    if kind == 2:
        return repr(struct.unpack("<d", rng.randbytes(8))[0]).replace("nan", "NaN").replace("inf", "Infinity").replace("-NaN", "NaN")
    if kind == 3:
        return f"{rng.randrange(-999, 999)}.{rng.randrange(10 ** 6)}{rng.choice(['', 'e3', 'E-7', 'e+310', 'e-330'])}"
    if kind == 4:
        return rng.choice(["NaN", "Infinity", "-Infinity", "-0", "0.0", "-0e1"])
    return str(rng.random())


def random_value(rng, depth):
    kind = rng.randrange(4 if depth == 0 else 6)
    space = lambda: rng.choice(["", "", "", " ", "\n\t"])
    if kind == 0:
        return rng.choice(["null", "true", "false"])
    if kind == 1:
        return random_string(rng)
    if kind in (2, 3):
        return random_number(rng)
    count = rng.randrange(4)
    if kind == 4:
        return "[" + ",".join(space() + random_value(rng, depth - 1) + space() for _ in range(count)) + "]"
    return "{" + ",".join(space() + random_string(rng) + space() + ":" + space() + random_value(rng, depth - 1) for _ in range(count)) + "}"


def mutate(rng, document):
    data = bytearray(document)
    for _ in range(rng.randrange(1, 3)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[at:at + 1] = b""
        elif kind == 1:
            data[at:at] = bytes([rng.choice(b'{}[],:"\\0129.eE+-nul tfNI\x00\x0c\xc3\xa9\xf0\x80u')])
        elif kind == 2:
            data[at:at + 1] = bytes([rng.randrange(256)])
        else:
            data = data[:at]
    return bytes(data)


def random_document(rng):
    document = random_value(rng, 3).encode()
    return mutate(rng, document) if rng.randrange(2) else document


def main():
    import codecs
    codecs.register_error("replace_lone", replace_lone)
    if len(sys.argv) > 1:
        rng = random.Random(int(sys.argv[2]))
        path, documents = pathlib.Path(sys.argv[1]), [random_document(rng) for _ in range(int(sys.argv[3]))]
    else:
        rng = random.Random(1)
        documents, chosen = TABLE[:], 0
        while chosen < 300:
            document = random_document(rng)
            if 8 < len(document) < 100:
                documents.append(document)
                chosen += 1
        path = HERE / "json_goldens.txt"
        corpus = HERE / "corpus_json"
        corpus.mkdir(exist_ok=True)
        for i, document in enumerate(documents[-20:] + [d for d in TABLE if len(d) > 20][:12]):
            (corpus / f"{i:02}").write_bytes(document)
    path.write_text("".join(f"{document.hex()} {expected(document)}\n" for document in documents))


main()
