"""Writes src/text/jinja_unicode_tables.h from Python's Unicode data: what utf8proc does not tell."""
import sys
import unicodedata

HEADER = """/* Made by tests/text/template/make_unicode_tables.py from Unicode {version}; do not edit. */
#ifndef WE_TEXT_JINJA_UNICODE_TABLES_H
#define WE_TEXT_JINJA_UNICODE_TABLES_H

#include <stdint.h>

struct we_jcode_range {{
    uint32_t first, last;
}};
"""


def characters():
    return (chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)


def ranges(predicate):
    result, previous = [], None
    for ch in characters():
        if not predicate(ch):
            continue
        if previous is not None and ord(ch) == previous + 1:
            result[-1][1] = ord(ch)
        else:
            result.append([ord(ch), ord(ch)])
        previous = ord(ch)
    return result


def table(comment, name, predicate):
    rows = [f"{{0x{a:X}, 0x{b:X}}}" for a, b in ranges(predicate)]
    return f"\n/* {comment} */\nstatic const struct we_jcode_range {name}[] = {{\n" + wrap(rows) + "};\n"


def wrap(items):
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > 118:
            lines.append(line)
            line = "   "
        line += " " + item + ","
    return "\n".join(lines + [line]) + "\n"


def units(text):
    return "{" + ", ".join(f"0x{ord(c):X}" for c in text) + "}"


def main():
    category = unicodedata.category
    out = HEADER.format(version=unicodedata.unidata_version)
    out += table("Digits that are no decimal ones.", "digits", lambda c: c.isdigit() and category(c) != "Nd")
    out += table("Letters that stand for numbers.", "numerals", lambda c: c.isnumeric() and category(c)[0] != "N")
    out += table("Lowercase, but not of category Ll.", "other_lower", lambda c: c.islower() and category(c) != "Ll")
    out += table("Uppercase, but not of category Lu.", "other_upper", lambda c: c.isupper() and category(c) != "Lu")
    special = [c for c in characters() if len(c.upper()) > 1 or len(c.title()) > 1]
    rows = [f"{{0x{ord(c):X}, {units(c.upper())}, {units(c.title())}}}" for c in special]
    out += "\n/* Characters whose upper case or title case is more than one character. */\n"
    out += "static const struct {\n    uint16_t c, upper[3], title[3];\n} special_casing[] = {\n" + wrap(rows) + "};\n\n#endif\n"
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(out)


main()
