"""Random templates over the variables of make_jinja_cases.py: most can be rendered, many fail."""
import re

ATOMS = {
    "str": ["s", "u", "sp", "q", "html", "lines", "words", "empty", "''", "'a'", "'o'", "' '", "','", "'é'", "'Ab cD'", "'\\n'", "'x y'", "'12'", "' -3.5 '", "'<b>'",
            "'日本😀'", "'\\x00\\u200b'", "'aXbXXc'", "'ΑΣ'", "\"it's\"", "'a' 'b'", "'1_0'", "'ǆﬁß'", "'\\u0130i\\r\\n'", "'one two  three\\tfour'"],
    "int": ["0", "1", "2", "3", "5", "-1", "-2", "7", "i", "neg", "zero", "100", "t", "f", "255", "1_000", "0x1f"],
    "float": ["x", "0.1", "1.5", "2.5", "-2.75", "1e3", "1e16", "1e-7", "0.0", "1e300", "3.14159", "floats[2]", "floats[5]"],
    "bool": ["t", "f", "true", "false", "missing is defined", "s is string"],
    "list": ["l", "ls", "nested", "mixed", "e", "[]", "()", "[1, 2, 3]", "['b', 'a']", "(1, 'x')", "[[1, 2], [3, 4]]", "range(3)", "range(5, 0, -2)", "[1, 'a', none]",
             "d.keys()", "d.values()", "d.items()", "floats", "users", "tree", "['x', 'Y', 'x']", "[true, 1, 1.0]", "s.split()"],
    "dict": ["d", "ed", "intkeys", "{}", "{'a': 1, 'b': [2]}", "{1: 2, none: 3, 'k': 'v'}", "users[0]", "dict(a=1)", "{'é': 'ß', 'n': {'m': none}}"],
    "any": ["n", "missing", "none", "a", "b", "loop", "ns", "d.missing", "l[99]", "range"],
}
PRODUCTIONS = {
    "str": """any | string;any | tojson;any | tojson(indent=int);any | tojson(ensure_ascii=bool, sort_keys=bool);any | tojson(separators=(',', ':'));str | upper;
str | lower;str | title;str | capitalize;str | trim;str | trim(str);str | replace(str, str);str | replace(str, str, int);str | indent(int);
str | indent(int, bool, bool);str | indent(str, first=bool);str | center(int);str | truncate(int, bool, str, int);str | e;str | safe;str | forceescape;
str | urlencode;str | default(str);any | default(str, bool);any | e;list | join(str);list | join;list | map('string') | join(str);list | first | string;
str | first;str | last;str | reverse;list | join(str, attribute='name');str.upper();str.lower();str.title();str.capitalize();str.swapcase();str.casefold();
str.strip();str.strip(str);str.lstrip(str);str.rstrip(str);str.replace(str, str);str.replace(str, str, int);str.center(int, 'x');str.ljust(int);str.rjust(int, '0');
str.zfill(int);str.expandtabs(int);str.join(list | map('string'));str.removeprefix(str);str.removesuffix(str);str.format(any, any);'{}-{:>5}'.format(str, str);
'{:.3f} {:e}'.format(float, float);'{:5d}|{:<5}|{:^7}'.format(int, int, int);'{0!r} {1[0]} {2.a}'.format(any, list, dict);'%s|%r' % (any, any);'%5d %-4s %x' % (int, str, int);
'%.2f %g %e' % (float, float, int);str + str;str ~ any;any ~ any;str * 2;3 * str;str[int];str[int:int];str[:int];str[int:];str[::int];str[int:int:int];
str if bool else str;str or str;str and str;any | filesizeformat;int | filesizeformat(bool);str.split(str)[int];str.partition(str)[1];dict | xmlattr;float | string;
str.splitlines() | join(str);int | string;list | string;dict | string;str | list | sort | join;any.name;users[int].name;'{:,} {:_} {:+} {:#x} {:08b}'.format(int, int, int, int, int);
'{:10.4} {:%} {:g} {:>8.1f}'.format(float, float, float, float);str | format(any);'%s' | format(any);str.rsplit(str, int) | last""",
    "int": """int + 9007199254740993;12345678901 - int;2147483648 // int;4294967297 % int;str | length;list | length;dict | length;list | count;str | int;str | int(int);str | int(int, 16);float | int;any | int(int);int + int;int - int;int * int;int // int;
int % int;int ** 2;-int;int | abs;str.find(str);str.rfind(str, int);str.count(str);str.find(str, int, int);list.index(int);list.count(any);str | wordcount;l | sum;l | max;
l | min;range(int, int) | length;range(int, int, int) | sum;dict.get(str, int);int if bool else int;int.bit_length();list | first;list | last;loop.index;loop.index0;
loop.revindex;loop.length;loop.depth;list | map('length') | sum;l[int];(int).real;int | round(int);users | sum(attribute='age')""",
    "float": """int / int;float + float;float - int;float * float;float / float;float // int;float % float;float ** int;float | round;float | round(int);float | round(int, 'ceil');
float | round(int, 'floor');str | float;str | float(float);int | float;-float;float | abs;floats[int];floats | sum;floats | max;int | round;any | float(float)""",
    "bool": """any is defined;any is none;any is string;any is mapping;any is iterable;any is sequence;any is number;any is integer;any is float;any is boolean;any is true;int is odd;
int is even;int is divisibleby(int);int is divisibleby int;any is eq any;any is sameas any;any is in list;str is lower;str is upper;any is callable;any is escaped;any is not defined;
int < int;int <= float;float > int;str < str;str >= str;list < list;any == any;any != any;list == list;dict == dict;int < int < int;any in list;str in str;str in dict;any not in list;
not any;any and any;any or any;str.startswith(str);str.endswith(str, int);str.isalpha();str.isdigit();str.isupper();str.islower();str.istitle();str.isspace();str.isprintable();
str.isidentifier();str.isnumeric();str.isalnum();str.isascii();float.is_integer();loop.first;loop.last;loop.changed(any);str.startswith((str, str));any is filter;int is gt int;any is test""",
    "list": """list | list;list | sort;list | sort(reverse=bool);list | sort(case_sensitive=bool);users | sort(attribute='age,name');users | sort(attribute='name', reverse=bool);list | reverse | list;
list | unique | list;list | unique(case_sensitive=bool) | list;list | map('string') | list;list | map('upper') | list;list | map('default', str) | list;users | map(attribute='name') | list;
users | map(attribute='o.p', default=any) | list;list | map('length') | list;list | map('int') | list;list | map('tojson') | list;list | select | list;list | select('string') | list;
list | reject('none') | list;list | select('in', list) | list;l | select('gt', int) | list;list | select('sameas', any) | list;users | selectattr('age', 'eq', int) | list;
users | selectattr('tags') | list;users | rejectattr('tags') | list;users | selectattr('o', 'defined') | list;users | groupby('age') | list;users | groupby('name', case_sensitive=bool);
list | batch(int) | list;list | batch(int, str) | list;list | slice(int) | list;list | slice(int, any) | list;dict | dictsort;dict | dictsort(bool, 'value');dict | dictsort(by='key', reverse=bool);
dict | items | list;dict | list;str | list;list + list;list * 2;[any, any];(any, any);[list, any];list[int:int];list[::-1];list[int:];list[:int];list[::int];str.split(str);str.split(str, int);
str.split(none, int);str.rsplit(str, int);str.splitlines(bool);str.partition(str);str.rpartition(str);list if bool else list;dict.items();dict.keys();dict.values();range(int);range(int, int);
list or list;nested | sum(start=list);list.copy();list | select('mapping') | map('items') | map('list') | list;list | default(list);dict.items() | list | sort""",
    "dict": """dict(list);dict(dict, z=any);{'k': any, 'z': any};{str: any};dict | items | list;dict.copy();namespace(a=any, b=any);users[int];dict if bool else dict;dict | default(dict, bool);
list | first;dict(list | select('sequence'));tree[int];dict.get(str, dict);{int: any, float: any}""",
    "any": "str;str;int;float;bool;list;dict;list[int];dict[str];dict.get(str);dict.get(str, any);list | first;list | last;list | max;list | min;any if bool;any if bool else any;"
           "any | default(any);any | default(any, bool);dict | attr(str);any.name;any[any];loop.previtem;loop.nextitem;loop.cycle(any, any);loop.index;cycler(any, any).next();joiner(str)();"
           "m(any);caller();kwargs;list | sum;any | any;int is nope",
}
PRODUCTIONS = {kind: [one.strip() for one in text.replace("\n", "").split(";")] for kind, text in PRODUCTIONS.items()}
PLACE = re.compile(r"(?<![\w.'])(?<!\| )(?<!is )(str|int|float|bool|list|dict|any)\b(?!\()")
LOOP = ["index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem", "depth", "depth0", "cycle('p', 'q')", "changed(a)"]


class Writer:
    def __init__(self, rng):
        self.rng = rng
        self.loops = 0

    def one(self, *choices):
        return self.rng.choice(choices)

    def expression(self, depth=3, kind="any"):
        rng = self.rng
        if rng.random() < 0.03:
            kind = rng.choice(sorted(ATOMS))
        if depth <= 0 or rng.random() < 0.15:
            return rng.choice(ATOMS[kind])
        text = rng.choice(PRODUCTIONS[kind])
        if rng.random() < 0.03:
            text = rng.choice(PRODUCTIONS[rng.choice(sorted(PRODUCTIONS))])
        if text in ATOMS:
            return self.expression(depth, text)
        return PLACE.sub(lambda match: self.operand(depth, match.group(1)), text)

    def operand(self, depth, kind):
        inner = self.expression(depth - 1, kind)
        return inner if self.rng.random() < 0.1 or re.fullmatch(r"\w+|'[^']*'", inner) else "(" + inner + ")"

    def tag(self, text):
        return "{%" + self.one("", "", "-", "+") + " " + text + " " + self.one("", "", "-", "+") + "%}"

    def space(self):
        return self.one("", "", " ", "\n", "  \n  ", "\n\n", "\t", "x", " x ", "\r\n", "\u00a0")

    def target(self):
        return self.one("a", "b", "i", "s", "a, b", "(a, b)", "z")

    def body(self, depth):
        return "".join(self.space() + self.statement(depth - 1) for _ in range(self.rng.choice([1, 1, 2, 3]))) + self.space()

    def statement(self, depth):
        rng = self.rng
        kind = rng.random()
        if depth <= 0 or kind < 0.35:
            return "{{" + self.one("", "", "-") + " " + self.expression(2) + " " + self.one("", "", "-") + "}}"
        if kind < 0.5:
            middle = self.tag("else") + self.body(depth) if rng.random() < 0.4 else ""
            if rng.random() < 0.3:
                middle = self.tag("elif " + self.expression(1, "bool")) + self.body(depth) + middle
            return self.tag("if " + self.expression(2, "bool")) + self.body(depth) + middle + self.tag("endif")
        if kind < 0.68:
            over = self.one("l", "ls", "users", "d", "d.items()", "range(3)", "e", "tree", "nested", self.expression(2, "list"))
            head = f"for {self.target()} in {over}" + self.one("", "", " if " + self.expression(1, "bool"))
            if rng.random() < 0.1:
                head += " recursive"
            self.loops += 1
            body = self.body(depth) + self.one("", "", self.tag("if " + self.expression(1, "bool")) + self.tag(self.one("break", "continue")) + self.tag("endif"))
            self.loops -= 1
            return self.tag(head) + body + self.one("", self.tag("else") + self.body(depth)) + self.tag("endfor")
        if kind < 0.8:
            return self.tag(f"set {self.target()} = {self.expression(2)}")
        if kind < 0.84:
            return self.tag(f"set {self.one('a', 'b', 'ns.v')}{self.one('', ' | upper')}") + self.body(depth) + self.tag("endset")
        if kind < 0.88:
            return self.tag("set ns = namespace(v=1)") + self.body(depth) + self.tag("set ns.v = " + self.expression(1)) + "{{ ns.v }}"
        if kind < 0.93:
            return self.tag("macro m(" + self.one("", "a", "a, b=2", "a, b=a", "b") + ")") + self.body(depth) + self.one("", "{{ caller() }}", "{{ kwargs }}{{ varargs }}") + \
                self.tag("endmacro") + self.one("{{ m() }}", "{{ m(1) }}", "{{ m(s, b=l) }}", self.tag("call m(1)") + self.body(depth) + self.tag("endcall"))
        if kind < 0.95:
            return self.tag("filter " + self.one("upper", "trim", "indent", "replace('a', 'b')")) + self.body(depth) + self.tag("endfilter")
        if kind < 0.97:
            return self.tag("with " + self.one("a = i", "a = 1, b = a", "")) + self.body(depth) + self.tag("endwith")
        if kind < 0.98:
            return self.tag("generation") + self.body(depth) + self.tag("endgeneration")
        return self.one("{# c #}", "{#- c -#}", "{% raw %}{{ x }} {% endraw %}", self.tag("raw") + " {% x " + self.tag("endraw"))


def random_expressions(rng):
    writer = Writer(rng)
    return "|".join("{{ " + writer.expression(3) + " }}" for _ in range(1))


def random_template(rng):
    writer = Writer(rng)
    return "".join(writer.statement(3) + writer.space() for _ in range(rng.randint(1, 4)))
