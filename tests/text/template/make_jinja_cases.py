"""Writes jinja_cases.json: small templates with what Jinja2 makes of them, in the environment that transformers sets up.

Usage: make_jinja_cases.py jinja_cases.json
A case is [template, output], or [template, null, kind, detail] where Jinja2 raises an error: "raised" by the template, with the
message; "undefined" was used, with the message; "syntax", with the line; "other". All share the variables below."""
import json
import sys

from jinja2 import exceptions
from transformers.utils.chat_template_utils import _compile_jinja_template

VARIABLES = {
    "t": True, "f": False, "n": None, "i": 7, "neg": -3, "big": 9007199254740993, "x": 2.5, "zero": 0, "s": "Hello, World",
    "empty": "", "sp": "  \t padded \n ", "u": "Straße ΑΣ İstanbul ǆ ﬁ 日本 😀", "q": "it's \"quoted\" \\ \n\t\x01\u00a0\u200b",
    "html": "<a href=\"x\">&'</a>", "lines": "one\ntwo\r\nthree\rfour\u2028five\n", "words": "a-b c_d (e) [f] {g} <h>  i",
    "l": [3, 1, 2], "ls": ["b", "A", "c", "a"], "nested": [[1, 2], [3, [4, 5]]], "mixed": [1, "a", None, True, 2.0, [1], {"k": "v"}],
    "d": {"b": 1, "a": "two", "C": [1, 2], "items": "shadow", "get": None}, "e": [], "ed": {},
    "users": [{"name": "Bob", "age": 30, "tags": ["x"], "o": {"p": 1}}, {"name": "alice", "age": 25, "tags": []},
              {"name": "Carol", "age": 30, "o": {"p": 3}}],
    "floats": [0.1, 1e16, 1e-5, 123456789.123, 1e300, 5e-324, 1.0, -0.0, 1e22, 2.5, 0.30000000000000004],
    "intkeys": {"1": "one", "2": "two"}, "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}],
}

EXPRESSIONS = r"""
1 + 2 * 3 - 4 / 2
7 // 2, -7 // 2, 7 // -2, 7 % 3, -7 % 3, 7 % -3, 7.5 // 2, -7.5 % 2, 7 / 2, 6 / 2
2 ** 10, 2 ** -1, 2 ** 0.5, -2 ** 2, 2 ** 3 ** 2, (-2) ** 3
1_000 + 0x1F + 0o17 + 0b101, 1e3, 1.5e-7, 1_0.5, 00, 1E5
10 / 0
10 // 0
10 % 0
1.0 // 0
0 ** -1
9223372036854775807
-9223372036854775807 - 1
i + t, t + t, -t, +f, t * 3, not i
1 < 2 < 3, 1 < 3 < 2, 1 == 1.0, 1 == true, 0 == false, 'a' < 'b', 'a' == 'a', [1] == [1.0], {'a': 1} == {'a': 1.0}
[1, 2] < [1, 3], (1,) < (1, 0), 'Z' < 'a', [1] < [1], [] < [1], (2, 'a') > (1, 'b')
1 < 'a'
n < 1
[1] < [none, 2]
[1, 'a'] < [1, 2]
none == none, none != 1, n is none, undefined_x == undefined_y, undefined_x == none
undefined_x < 1
undefined_x + 1
1 + undefined_x
'a' + undefined_x
undefined_x
undefined_x.y
undefined_x['y']
undefined_x()
undefined_x[1:2]
-undefined_x
undefined_x in [1], 1 in undefined_x, undefined_x | length, undefined_x | list, undefined_x | string
undefined_x ~ 'a' ~ n ~ t ~ 1.0 ~ [undefined_x]
undefined_x | upper, undefined_x | trim, undefined_x | join, undefined_x | default('d'), undefined_x or 'o'
undefined_x | tojson
undefined_x | int
undefined_x | items | list, undefined_x | first is defined, undefined_x is sequence, undefined_x is iterable, undefined_x is callable
undefined_x is mapping, undefined_x is string, undefined_x is number, undefined_x is none, undefined_x is true
d.missing is defined, d.missing is undefined, d['missing'] is defined, d.b is defined
d.missing.deeper
d.missing.deeper is defined
(d.missing | default({})).x is defined
'a' 'b' "c", 'tab\tnl\n', "q\"q", 'x\x41\u00e9\U0001F600\101\0', 'unknown \d \z', 'back\\slash', '\é'
'a' + 'b' * 3, 3 * 'ab', 'a' * 0, 'a' * -1, [1] * 3, [1] + [2], (1,) + (2,), 2 * (1, 2)
'a' + 1
1 + 'a'
[1] + (2,)
'a' * 1.5
'a' - 'b'
[1, 2,], (1,), (), (1), {}, {'a': 1, 'b': [2], 1: 2, none: 3, true: 4}, [none, true, 1.5, 'x']
{'a': 1, 'a': 2}, {1: 'a', true: 'b', 1.0: 'c'}
{[1]: 2}
{(1, 2): 3}
'yes' if t else 'no', 'yes' if f else 'no', 'yes' if f, ('yes' if f) is defined, 'a' if f else 'b' if f else 'c'
t and 'x', f and 'x', t or 'x', f or 'x', '' or 0 or none or [], 1 and 2 and 3, not f and t, not (f or t)
'ell' in s, 'xyz' in s, 'xyz' not in s, 1 in l, 9 not in l, 'b' in d, 'z' in d, '' in '', 2.0 in l, true in [1]
1 in 's'
1 in 5
[1] in d
none in [none], 3 in range(5), 2.0 in range(5), 2.5 in range(5), 'a' in range(5), 3 in range(0, 10, 2), 4 in range(0, 10, 2)
s[0], s[-1], s[1:4], s[:3], s[-3:], s[::-1], s[::2], s[10:2], s[5:1:-1], s[-100:100], u[-2:], u[::-1], u[7]
s[100] is defined, l[5] is defined, l[-1], l[-5] is defined, l[0:2], l[::-1], l[:], l[1:][0], l[5:], l[none:2], l[::-2]
l['a'] is defined, l[1.0] is defined, l[true], s[true], d[0] is defined
s['upper'](), l['index'](1), d['items'], d.items() | list, d['get'] is none, d.get('b'), d.keys() | list
l[::0]
l['a':]
n[0] is defined, n['x'] is defined, n.x is defined, 5[0] is defined, 5['a'] is defined
n[0:1]
i[0:1]
d[0:1]
range(5)[1:3], range(10)[::-2], range(10)[-1], range(3), range(1, 10, 3), range(5)[7] is defined, range(0) | list
range(5) | list, range(2, 5) | list, range(5, 0, -2) | list, range(3) | length, range(3) | last, range(1000000000000, 1000000000002) | list
range(100001)
range(0, 10, 0)
range('a')
range(1.5)
range()
d.b, d['a'], d.C[1], d.get('zz'), d.get('zz', 5), d.get('b', 5), 'b' in d.keys(), d.values() | list, d.items() | first
d.get()
d.get([1])
d.pop('b')
d.update({})
l.append(4)
l.sort()
d.setdefault
l.append is defined, l.append is undefined
s.__class__
s.__class__ is defined
s.nope is defined, s.nope
d.copy(), d.copy() == d, l.copy(), l.index(2), l.count(1), (1, 2, 1).count(1), (1, 2).index(2)
l.index(99)
d.keys(), d.values(), d.items(), ed.items(), ed, e, intkeys.keys()
(5).bit_length(), (5).real, i.numerator, x.is_integer(), (2.0).is_integer(), t.real, x.imag
s.upper(), s.lower(), s.title(), s.capitalize(), s.swapcase(), s.casefold()
u.upper(), u.lower(), u.title(), u.capitalize(), u.swapcase(), u.casefold(), u | length
'ΑΣ'.lower(), 'ΑΣ Σ'.lower(), 'ΣΑΣ.'.lower(), 'ß'.upper(), 'ŉ'.upper(), 'ﬃ'.title(), 'ǆ'.title(), 'İ'.lower() | length
sp.strip() ~ '|', sp.lstrip() ~ '|', sp.rstrip() ~ '|', s.strip('Hd'), s.lstrip('Hel'), s.rstrip('dlr'), s.strip(''), 'ééaéé'.strip('é')
s.strip(1)
s.strip('a', 'b')
s.split(), s.split(','), s.split(', '), s.split('o', 1), s.split('zzz'), ''.split(), ''.split(','), 'a,b,,c,'.split(',')
'  a  b c '.split(), '  a  b c '.split(none, 1), '  a  b c '.rsplit(none, 1), 'a b c'.split(maxsplit=1), 'a.b.c'.rsplit('.', 1), 'a.b'.split(sep='.')
'aXbXc'.split('X', 0), 'aXbXc'.split('X', -1), 'aXbXc'.rsplit('X', 0), ' x '.split(' '), 'a b'.split(none, 0), 'abab'.rsplit('ab')
s.split('')
s.split(1)
lines.splitlines(), lines.splitlines(true), ''.splitlines(), 'a\n\nb'.splitlines(), 'a\x0bb\x1cc\x85d'.splitlines(keepends=true)
s.replace('l', 'L'), s.replace('l', 'L', 1), s.replace('', '-'), s.replace('', '-', 3), s.replace('zz', 'y'), ''.replace('', 'x'), s.replace('o', '')
s.replace('l')
s.replace('a', 1)
s.find('o'), s.find('o', 5), s.find('zz'), s.rfind('o'), s.find(''), s.find('', 100), s.index('W'), s.count('l'), s.count(''), u.find('日'), u.rfind('s')
s.find('o', 0, 4), s.find('o', 0, 5), s.find('o', -5), s.count('o', 5), s.rfind('o', 0, 6), s.count('l', -3, -1), 'aaa'.count('aa')
s.index('zz')
s.rindex('zz')
s.startswith('He'), s.startswith(('x', 'H')), s.startswith('W', 7), s.endswith('ld'), s.endswith(('a', 'd')), s.startswith(''), s.endswith('o', 0, 5), s.startswith('', 50)
s.startswith(1)
s.startswith(['H'])
s.partition(','), s.rpartition('o'), s.partition('zz'), s.rpartition('zz')
s.removeprefix('Hello'), s.removesuffix('World'), s.removeprefix('x'), s.removesuffix('')
'a'.center(5) ~ '|', 'ab'.center(5, '*'), 'a'.center(4, '*'), 'a'.ljust(3) ~ '|', 'a'.rjust(3, '0'), '5'.zfill(3), '-5'.zfill(4), '+'.zfill(3), 'abc'.zfill(2)
'a'.center(5, 'ab')
'a\tb'.expandtabs(), 'a\tb\n\tc'.expandtabs(4), '\t'.expandtabs(0) ~ '|'
'-'.join(['a', 'b']), ''.join([]), ','.join('abc'), ', '.join(d), ', '.join(ls | sort)
','.join([1, 2])
','.join(1)
'abc'.isalpha(), 'ab1'.isalnum(), '12'.isdigit(), '²'.isdigit(), '²'.isdecimal(), '½'.isnumeric(), ''.isalpha(), ' \t'.isspace(), 'aB'.islower(), 'ab'.islower(), 'AB1'.isupper(), 'Ab Cd'.istitle(), 'é'.isascii(), ''.isascii(), 'a\n'.isprintable(), 'a_1'.isidentifier(), '1a'.isidentifier(), '一'.isnumeric()
'{} {}'.format(1, 'a'), '{1} {0}'.format(1, 2), '{a} {b[0]} {c.b}'.format(a=1, b=l, c=d), '{{}}'.format(), '{!r} {!s}'.format('a', 'b'), '{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd')
'{:05d} {:+d} {:,} {:x} {:#x} {:b} {:o} {:X} {:_}'.format(42, 5, 1234567, 255, 255, 5, 8, 255, 1234567)
'{:.2f} {:8.3f} {:e} {:g} {:.0f} {:%} {:.1%} {:+.1f} {:010.2f} {:,.2f}'.format(3.14159, 2.5, 12345.678, 0.0001, 2.5, 0.25, 0.333, 1.25, -3.5, 1234567.891)
'{:.3} {:.10} {:5} {:<5}|{:d}'.format(3.14159, 1.5, 2.0, 1, true)
'{:s} {:.2s} {:5}|'.format('abc', 'abc', true)
'{:5}'.format([1])
'{'.format()
'}'.format()
'{}'.format()
'{0} {}'.format(1, 2)
'{a}'.format()
'{:d}'.format('a')
'{:d}'.format(1.5)
'%s %d %5.2f %x %r %%' % ('a', 5, 3.14159, 255, 'b'), '%s' % 5, '%(a)s %(b)d' % {'a': 'x', 'b': 2}, '%5s|%-5s|%05d|%+d|% d' % ('a', 'b', 42, 5, 5), '%c%c' % (65, 'b')
'%s' % [1, 2], '%s' % {'a': 1}, '%s %s' % (1, none), '%.3s' % 'abcdef', '%*d' % (5, 42), '%e %g %G' % (12345.678, 0.00001, 1e20), '%i' % 3.7, '%o' % 8, '%#x' % 255
'%s' % (1, 2)
'%s %s' % (1,)
'%d' % 'a'
'%z' % 1
'%(a)s' % {}
'abc' % 1
'abc' % {}
'abc' % ()
s | upper, s | lower, s | title, s | capitalize, words | title, u | title, u | upper, 5 | upper, n | upper, [1] | upper
s | length, l | length, d | length, u | length, s | count
5 | length
n | length
s | trim, sp | trim ~ '|', s | trim('Hd'), s | trim(chars='d'), n | trim, 5 | trim
s | replace('l', 'L'), s | replace('l', 'L', 1), 5 | replace(5, 6), s | replace(old='o', new='0', count=1), n | replace('N', 'n'), s | replace('l', 'L', none)
s | replace('l')
l | join, l | join(','), l | join(', ', attribute='x') is defined, users | join('; ', attribute='name'), 'abc' | join('-'), d | join(','), [n, t, 1.0] | join(' '), l | join(5)
users | join(attribute='o.p')
5 | join
l | first, l | last, e | first is defined, e | last is defined, s | first, s | last, d | first, d | last, e | first, empty | last is defined
(l | map('string')) | last
l | list, s | list, d | list, 'é😀' | list, range(3) | list, (1, 2) | list
5 | list
l | reverse | list, s | reverse, d | reverse | list, u | reverse, range(3) | reverse | list, (l | map('string')) | reverse
5 | reverse
l | sort, ls | sort, ls | sort(case_sensitive=true), l | sort(reverse=true), l | sort(true), users | sort(attribute='age') | map(attribute='name') | list, users | sort(attribute='age,name') | map(attribute='name') | list, users | sort(reverse=true, attribute='age') | map(attribute='name') | list
mixed | sort
d | sort, s | sort | join, nested | sort, 'bca' | sort, [[2, 'b'], [1, 'z'], [2, 'a']] | sort, [(1, 2), (1, 1)] | sort, ['a', 'B', 'A', 'b'] | sort
users | sort(attribute='zzz') | length
d | dictsort | length, {'b': 1, 'A': 3, 'c': 2} | dictsort, {'b': 1, 'A': 3, 'c': 2} | dictsort(true), {'b': 1, 'A': 3} | dictsort(by='value'), {'b': 1, 'A': 3} | dictsort(false, 'key', true), {'b': 1, 'A': 3} | dictsort(reverse=true)
d | dictsort(by='zzz')
l | dictsort
l | min, l | max, ls | min, ls | max, ls | min(case_sensitive=true), users | max(attribute='age') | string | length, e | min is defined, s | max, floats | max
[1, 'a'] | min
l | sum, floats | sum, e | sum, l | sum(start=10), users | sum(attribute='age'), [[1], [2]] | sum(start=[]), [t, t] | sum
ls | sum
[1.5, 2] | sum, [] | sum(start=5)
l | unique | list, ['a', 'A', 'b', 'a'] | unique | list, ['a', 'A'] | unique(case_sensitive=true) | list, users | unique(attribute='age') | map(attribute='name') | list, [1, 1.0, true, 'a', none, none] | unique | list
[[1], [1]] | unique | list
l | batch(2) | list, range(7) | batch(3, 'x') | list, [] | batch(2) | list, range(5) | batch(linecount=2, fill_with=0) | list, s | batch(5) | list, range(3) | batch(0) | list
range(7) | slice(3) | list, range(7) | slice(3, 'x') | list, range(2) | slice(4) | list, range(6) | slice(2) | list
range(7) | slice(0) | list
users | map(attribute='name') | list, users | map(attribute='tags') | list | length, users | map(attribute='zz', default='?') | list, users | map(attribute='o.p', default=0) | list, ls | map('upper') | list, ls | map('replace', 'a', 'Z') | list, [1.25, 2.5] | map('round', 1) | list, users | map(attribute='tags.0', default='-') | list, [[1, 2], [3]] | map(attribute=0) | list, nested | map('length') | list, ls | map('default', 'x') | list
l | map('nope') | list
l | map | list
l | map(attribute='a', zz=1) | list
l | map('nope') is defined
l | select | list, l | select('odd') | list, l | reject('odd') | list, l | select('gt', 1) | list, l | select('>', 1) | list, l | select('in', [1, 2]) | list, [0, 1, '', 'a', none, [], [1]] | select | list, [0, 1, ''] | reject | list, mixed | select('string') | list, mixed | select('mapping') | list, l | select('divisibleby', 3) | list, mixed | select('none') | list, mixed | reject('number') | list, mixed | select('sameas', true) | list
l | select('nope') | list
users | selectattr('tags') | map(attribute='name') | list, users | selectattr('age', 'equalto', 30) | map(attribute='name') | list, users | rejectattr('age', '==', 30) | map(attribute='name') | list, users | selectattr('tags', 'defined') | list | length, users | selectattr('o.p', 'eq', 3) | list | length, users | rejectattr('tags') | list | length, users | selectattr('name', 'in', ['Bob']) | list | length, users | selectattr('tags', 'undefined') | map(attribute='name') | join
users | selectattr | list
undefined_x | selectattr('a') | list, undefined_x | map('upper') | list, n | select | list, 0 | map('x') | list
5 | select | list
(l | select('odd')) is iterable, (l | select('odd')) is sequence, (l | map('string')) is string, (l | map('string')) is defined, true if (e | select) else false
(l | select) | length
(l | select)[0] is defined
(l | map('string')) | tojson
users | groupby('age') | map(attribute='grouper') | list, users | groupby('age') | map(attribute='list') | map('length') | list, users | groupby('age') | length, ['a', 'B', 'A'] | groupby(0) | map('first') | list, users | groupby('o.p', default=0) | map('first') | list, users | groupby('name') | map(attribute=0) | list
{'a': 1, 'b': 2} | items | list, {} | items | list, (d | items) is defined
l | items | list
s | default('x'), n | default('x'), n | default('x', true), '' | default('x', true), f | default('x', boolean=true), missing | default, missing | d(5), 0 | d('z', true)
5 | abs, -5 | abs, -2.5 | abs, t | abs, (-5) | abs
'a' | abs
'5' | int, '5.7' | int, 'x' | int, 'x' | int(9), 5.9 | int, -5.9 | int, n | int, '' | int, ' 12 ' | int, '1_000' | int, '0x1F' | int(base=16), 'ff' | int(0, 16), '0b11' | int(base=2), t | int, '1e3' | int, [] | int(default=3), '-7' | int, '+7' | int, '１２' | length, 'inf' | int, 'nan' | int(4), '0o17' | int(0, 0)
['inf', '-inf', 'nan', 'infinity', '-Infinity', 'INF'] | map('float') | list
'5.5' | float, 'x' | float, 'x' | float(1.5), 5 | float, n | float, '1e3' | float, ' 2 ' | float, '1_0.5' | float, '.5' | float, '5.' | float, '1e' | float, '1.e2' | float, '--1' | float, '' | float, '0x10' | float
2.5 | round, 3.5 | round, 2.567 | round(2), 2.5 | round(0, 'ceil'), 2.5 | round(0, 'floor'), 42 | round, 1234 | round(-2), 2.567 | round(1, 'floor'), 2.561 | round(method='ceil', precision=1), -2.5 | round, 0.5 | round, 1.005 | round(2), 2.675 | round(2), 1e20 | round, 150 | round(-2), 250 | round(-2), 35 | round(-1), 45 | round(-1), t | round, 12345.678 | round(-2), 5.015 | round(2), 1e16 | round(1)
2.5 | round(1, 'up')
'a' | round
'a' | string, 5 | string, n | string, [1, 'a'] | string, 1.0 | string, s | string == s, t | string, {'a': n} | string
html | e, html | escape, html | safe, html | e | e, html | forceescape, html | e | forceescape, html | safe | e, 5 | e, n | e, [html] | e
(html | safe) + '<', '<' + (html | safe), (html | safe) ~ '<', ('%s' | safe) % '<', ('a' | safe) | upper, [html | safe], ('a,b' | safe).split(','), (html | e) | length, ('-' | safe).join(['<', '>']), ('<' | safe) * 2, ('<b>' | safe)[0], ('<b>' | safe).replace('b', '<'), ('x' | safe) is escaped, 'x' is escaped, ('<' | safe) | trim is escaped, ('<' | safe) | string is escaped, ('a' | safe) == 'a', (['<'] | join) is escaped
('%s %d' | safe) % ('<', 5), ('%(a)s' | safe) % {'a': '<'}, ('a' | safe) in 'abc', ('a' | safe).startswith('a'), ('<' | safe) | replace('<', '&')
lines | indent, lines | indent(2), lines | indent(2, true), lines | indent(2, false, true), 'a\n\nb' | indent, 'a\n\nb' | indent(2, blank=true), 'a\nb' | indent('>> '), 'a\nb' | indent(width=3, first=true), '' | indent(2, true) ~ '|', 'a\n' | indent ~ '|', 'a\nb' | indent(0), 'a\nb' | indent(true)
5 | indent
undefined_x | indent
s | center(20) ~ '|', s | center, 5 | center(3)
'foo bar baz qux' | truncate(9), 'foo bar baz qux' | truncate(9, true), 'foo bar baz qux' | truncate(11), 'foo bar baz qux' | truncate(11, false, '...', 0), 'foo' | truncate(3), 'foobarbaz' | truncate(5, end='', leeway=0), 'foo bar' | truncate(5, leeway=0)
'foo bar baz' | truncate(2)
s | wordcount, words | wordcount, u | wordcount, '' | wordcount, 'a_b c-d' | wordcount
'%s-%s' | format('a', 1), '%(x)s' | format(x=5), 'plain' | format, '%d%%' | format(50)
'%s' | format(1, x=2)
'%s' | format
'a b/c?d=é&' | urlencode, {'a b': 'c d', 'e': 1} | urlencode, [('a', '/'), ('b', '~')] | urlencode, 5 | urlencode
{'class': 'a b', 'id': none, 'x': 5, 'y': '<'} | xmlattr, {} | xmlattr, {'a': 1} | xmlattr(false), {'a': undefined_x} | xmlattr
{'a b': 1} | xmlattr
1 | filesizeformat, 0 | filesizeformat, 999 | filesizeformat, 1000 | filesizeformat, 1500000 | filesizeformat, 1024 | filesizeformat(true), 123456789 | filesizeformat(binary=true), '2500' | filesizeformat, 1e30 | filesizeformat
d | attr('b') is defined, s | attr('upper') is defined, d | attr('items') is callable, (i | attr('real')), d | attr('zzz') is defined
d | tojson, l | tojson, s | tojson, u | tojson, n | tojson, t | tojson, x | tojson, floats | tojson, q | tojson, html | tojson, e | tojson, ed | tojson, (1, 2) | tojson, mixed | tojson
d | tojson(indent=2), mixed | tojson(indent=4), nested | tojson(indent=0), nested | tojson(indent='--'), e | tojson(indent=2), [[]] | tojson(indent=2), {'a': {}} | tojson(indent=1), nested | tojson(indent=true), nested | tojson(indent=-1)
u | tojson(ensure_ascii=true), u | tojson(true), '\x7f\x80' | tojson(ensure_ascii=true), '\x7f\u2028/' | tojson, {'é': 'é'} | tojson(ensure_ascii=true)
d | tojson(separators=(',', ':')), d | tojson(separators=[',', ':'], indent=1), {'b': 1, 'a': 2} | tojson(sort_keys=true), {'b': {'d': 1, 'c': 2}, 'a': 2} | tojson(sort_keys=true, indent=2), d | tojson(none, none)
{1: 2, true: 3, none: 4, 1.5: 5} | tojson, {none: 1} | tojson, (html | safe) | tojson, ['inf', 'nan', '-inf'] | map('float') | list | tojson, 1e16 | tojson, 123456789012345678 | tojson, -0.0 | tojson
{(1, 2): 3} | tojson
d.items() | tojson
range(3) | tojson
{'b': 1, 2: 3} | tojson(sort_keys=true)
d | tojson(separators=5)
d | tojson(zzz=5)
namespace(a=1) | tojson
floats, x, 1.0, 1e16, 1e15, 123456789012345680.0, 1e-4, 1e-5, 0.1 + 0.2, 1/3, 100.0, 1e100, 1.7976931348623157e308, 2.2250738585072014e-308, 5e-324, 9007199254740993.0, 4.35, 0.000123, 5.684341886080801e-14
mixed, d, nested, q, [q], (u,), [s | safe], {'a': {'b': [1, (2,)]}}, [true, false, none], ['a\'b', "a\"b", 'a\'"b'], '\x00\x1f\x7f\xa0\xad\u200b\u3000\ufeff\ue000' | list, ['\U000E0001']
namespace(a=1, b='x'), namespace(), namespace({'a': 1}, b=2).b, namespace([('z', 5)]).z, namespace(a=1).zz is defined, namespace(a=1)['a'], dict(a=1, b=2), dict({'a': 1}, b=2), dict([('a', 1)]), dict(), dict.fromkeys('ab', 1)
namespace(_a=1)
dict('ab')
dict(1)
dict(1, 2)
dict(undefined_x)
cycler('a', 'b').next(), cycler(1).current, joiner('-')(), [joiner() ] | length
cycler()
raise_exception('boom')
raise_exception()
raise_exception('a', 'b')
1 is number, 1.5 is number, t is number, '1' is number, 1 is integer, t is integer, 1.0 is integer, 1.0 is float, 1 is float, t is boolean, 1 is boolean, t is true, 1 is true, f is false, 0 is false, n is none, 0 is none
s is string, 1 is string, (s | safe) is string, l is sequence, s is sequence, d is sequence, 5 is sequence, (1,) is sequence, d.items() is sequence, l is iterable, 5 is iterable, d is mapping, l is mapping, namespace() is mapping, range(3) is sequence, namespace() is iterable, n is iterable
3 is odd, 3 is even, 4 is even, 4.0 is even, -3 is odd, 9 is divisibleby 3, 9 is divisibleby(2), 1 is eq 1, 1 is equalto(2), 1 is ne 2, 1 is gt 0, 1 is lessthan 2, 2 is ge 2, 2 is le 1, 1 is in [1, 2], 'a' is in 'abc', 1 is not in [2], 'a' is lower, 'A1' is upper, 5 is lower, 'upper' is filter, 'nope' is filter, 'odd' is test, 'x' is test, 1 is sameas 1, n is sameas none, t is sameas true, l is sameas l, [] is sameas []
'a' is odd
1 is divisibleby 0
range is callable, s.upper is callable, 5 is callable, namespace is callable, 's' is callable, s is defined, not s is defined, s is not defined, (s is defined) and t
1 is defined is defined
s is nope
5 is filter([1])
x is number and x is not integer or f, not 1 is odd, -1 is number, 1 + 1 is even, 2 * 3 | string + 'x', 'a' ~ 1 + 2, 1 ~ 2 * 3, -1 | abs, (1, 2) | length, not t | string
[1, 2, 3] | map('string') | join('-') | upper | length, s | replace('o', '0') | title, users[0].tags[0] | upper, users[0]['o']['p'] + 1, (l + [4])[-1], {'a': [1, {'b': 2}]}['a'][1].b, 'abc'[1:] | upper, [[1, 2], [3]][0][1], l | sort | first
s.upper().lower().split(',')[1].strip()[0], ('a' if t else 'b') ~ 'c', [x * 2, x + 1], {'k': i}['k'], (i > 5) and (x < 3), i if i is odd else 'even', l.index(3) + 1, s.split(', ') | map('length') | list
range, dict
d.b.c is defined, d.b['c'] is defined, d['C'][5] is defined, s.length is defined
self is defined, loop is defined, caller is defined, varargs is defined, messages is defined
'%s' % undefined_x, '{}'.format(undefined_x), [undefined_x], undefined_x == undefined_x, undefined_x is sameas undefined_x
t == 1, 'a' == 1, n == 0, [] == (), '' == none, {} == [], 1 != '1', range(3) == range(3), range(0) == range(2, 2), d.keys() == d.keys(), 1.5 == '1.5'
big, big + 1, big * 1.0, big == 9007199254740992.0, 9007199254740993 == 9007199254740993.0, big / 3, 10 ** 18, 3 ** 39, -7 / 2, x * 1e308 * 10, x * -1e308 * 10
(1, 2)[0], (1, 2)[::-1], 'a,b'.split(',')[1], [1, 2, 3][1:][::-1], s[2:5].upper(), 'abc'[-2:], 'abc'[:-1], 'abc'[3:] == ''
true, True, false, False, none, None, TRUE is defined, Null is defined
'a' < 'B', 'a' < 'é', 'é' < '日', '\uffff' < '\U00010000', max is defined
l.0, l.1 + l.2, nested.1.0, nested.1.1.0
s|upper|lower, s |upper, s| upper, (s)|upper, s|replace("l","L")|replace('L','l')
[1,2,3]|sum*2, 2*[1,2]|length, 'a'~'b'|upper, -l|first
l|join(',')~'x', not l|length, l|length>2, l|length == 3 and s|length > 3
*l
l |
(1
1 +
'unclosed
a b
foo(a=1, a=2)
foo(a=1, 2)
l[1:2, 3]
{% x %}
s | nope
1 if
{1, 2}
lambda: 1
a = 1
l[0
@
s.
s.upper(
i++
x y
"""

TEMPLATES = [
    # white space
    "a\n{% if t %}\n  b\n{% endif %}\nc\n", "a\n  {% if t %}b{% endif %}  \nc", "a {%- if t -%} b {%- endif -%} c", "  {%+ if t %}x{% endif %}",
    "{% if t +%}\n x{% endif %}", "a\n\n{{- s -}}\n\nb", "{{ s }}\n", "{{ s }}\n\n", "\n{{ s }}", "{# c #}\nx", "a{#- c -#} b", "  {# c #}\nx", "  {#+ c +#}\nx",
    "x\r\ny\rz\n", "{% raw %}{{ x }}{% endraw %}", "a {%- raw -%} {{ b }} {%- endraw -%} c", "  {% raw %}\n x {% endraw %}\ny", "{% raw %}a{% endraw +%}\nb",
    "{{ '{{' }}{{ '}}' }}", "{ { %} }} #}", "{{ {'a': {'b': 1}}.a.b }}", "{{ {'a':{}} }}", "a{% set x = 1 %}\nb{{ x }}", "\t{% set x = 1 %}\n\tb",
    "{%- for m in l -%}\n {{ m }}\n{%- endfor %}", "{% for m in l %}\n{{ m }}\n{% endfor %}\nend", "{% if t %}{% endif %}\n\n\nx", "{%if t%}x{%endif%}", "{{s}}{{-s-}} {{ s }}",
    "\u00a0\u2003{%- if t %}x{% endif -%}\u3000\u0085y", "  {{ s }}  ", "line1\n   {% if t %}   \nline2{% endif %}", "a\n \x0b {% if t %}b{% endif %}", "x{% if t %}\n\ny{% endif %}", "{{+ i }}",
    "{% if t -%}\n\n  x\n{%- endif %}\n", "{%\nif\nt\n%}x{%\nendif\n%}", "{{\n s\n}}", "a{% if t %}{# c #}{% endif %}b", "", "\n", "\n\n", "plain", "{#", "{% raw %}x", "{{", "{%", "{{ s", "{% if t", "{% if t %}x", "x #} y }} z %}",
    # if
    "{% if f %}a{% elif t %}b{% else %}c{% endif %}", "{% if f %}a{% elif n %}b{% else %}c{% endif %}", "{% if '' %}a{% elif 0 %}b{% elif [] %}c{% elif 'x' %}d{% endif %}",
    "{% if x is defined and x > 2 %}a{% endif %}", "{% if not undefined_x %}a{% endif %}", "{% if 1, 2 %}a{% endif %}", "{% if t: %}a{% endif %}", "{% if %}a{% endif %}", "{% if t %}a{% else %}b{% elif t %}c{% endif %}",
    "{% endif %}", "{% if t %}{% endfor %}", "{% nope %}", "{% if t %}{% if f %}a{% else %}b{% endif %}{% else %}c{% endif %}",
    # for
    "{% for a in l %}{{ a }},{% endfor %}", "{% for a in e %}x{% else %}none{% endfor %}", "{% for a, b in d.items() %}{{ a }}={{ b }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for c in s %}{{ c }}.{% endfor %}",
    "{% for a in undefined_x %}x{% else %}none{% endfor %}", "{% for a in n %}x{% endfor %}", "{% for a in 5 %}x{% endfor %}", "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for a, b in l %}x{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}x{% endfor %}", "{% for a, b in [(1,)] %}x{% endfor %}", "{% for a, b in ['xy', 'zw'] %}{{ b }}{{ a }}{% endfor %}", "{% for a in 1, 2, 3 %}{{ a }}{% endfor %}", "{% for a in l if a > 1 %}{{ a }}{{ loop.index }}{% endfor %}",
    "{% for a in l if a > 5 %}{{ a }}{% else %}none{% endfor %}", "{% for a in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for a in l %}{{ loop.previtem }}<{{ a }}>{{ loop.nextitem }} {% endfor %}", "{% for a in l %}{{ loop.cycle('x', 'y') }}{% endfor %}", "{% for a in [1, 1, 2] %}{{ loop.changed(a) }}{% endfor %}", "{% for a in l %}{% for b in ls %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}",
    "{% for a in l %}{% set outer = loop %}{% for b in ls %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}", "{% for a in l | map('string') %}{{ loop.length }}{{ a }}{{ loop.last }}{% endfor %}", "{% for a in l | select('odd') %}{{ a }}{{ loop.last }}{{ loop.revindex }}{% endfor %}",
    "{% for a in l %}{{ loop }}{% endfor %}", "{% for a in l %}{{ loop.nope is defined }}{{ loop['index'] }}{% endfor %}", "{% for a in l %}{{ loop | length }}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}", "{% for a in l %}{% if loop.index == 2 %}{% break %}{% endif %}{{ a }}{% endfor %}x",
    "{% for a in l %}{% if a == 1 %}{% continue %}{% endif %}{{ a }}{% endfor %}x", "{% for a in l %}{% break %}{% else %}E{% endfor %}", "{% for a in [1] %}{% continue %}{% else %}E{% endfor %}", "{% for a in l %}{{ a }}{% else %}E{% endfor %}", "{% break %}", "{% for a in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for a in l %}{% for b in l %}{% if b == 1 %}{% break %}{% endif %}{{ a }}{{ b }} {% endfor %}{% endfor %}", "{% for a in l %}{% set z %}{% break %}{% endset %}x{% endfor %}y", "{% for a in l %}{% filter upper %}q{% if a == 1 %}{% continue %}{% endif %}r{% endfilter %}{% endfor %}",
    "{% for n in tree recursive %}{{ n.v }}{% if n.c %}({{ loop(n.c) }}){% endif %}{{ loop.depth }}{% endfor %}", "{% for a in l recursive %}{{ a }}{% else %}E{% endfor %}", "{% for a in [[1, [2]], []] recursive %}<{{ loop(a) if a is sequence else a }}{{ loop.index }}>{% else %}E{% endfor %}", "{% for a in l %}{{ loop(l) }}{% endfor %}",
    "{% for a in l if loop.first %}{{ a }}{% endfor %}", "{% for loop in l %}{% endfor %}", "{% for a in l %}{% set loop = 1 %}{% endfor %}", "{% for x in l %}{{ x }}{% endfor %}{{ x }}", "{% for a in l %}{% endfor %}{{ a is defined }}", "{% for a in l %}{% for a in ls %}{{ a }}{% endfor %}{{ a }}{% endfor %}",
    "{% for a in range(3) %}{{ a }}{% endfor %}", "{% for k, v in d | dictsort %}{{ k }}{% endfor %}", "{% for i, j in [[1, 2], [3, 4]] %}{{ i + j }} {% endfor %}{{ i }}", "{% for a in l|sort|reverse %}{{ a }}{% endfor %}", "{% for k, v in d | items %}{{ k }}{% endfor %}", "{% for a in (1, 2) if a %}{{ a }}{% endfor %}",
    "{% set ns = namespace(go=true) %}{% for a in l if ns.go %}{{ a }}{% set ns.go = false %}{% endfor %}", "{% set g = l | map('string') %}{{ g | join }}|{{ g | join }}", "{% set g = l | select %}{% for a in g %}{{ a }}{% for b in g %}<{{ b }}>{% endfor %}{% endfor %}", "{% for a, b in [[1, 2]] if a %}{{ loop.nextitem is defined }}{{ loop.length }}{% endfor %}",
    "{% for a in l %}{{ a }}{% if not loop.last %}, {% endif %}{% endfor %}", "{% for m in users %}{{ loop.previtem.name if loop.previtem is defined else '-' }}{% endfor %}", "{% for m in users %}{{ (loop.nextitem or {}).name }};{% endfor %}", "{% for in l %}{% endfor %}", "{% for a l %}{% endfor %}", "{% for 1 in l %}{% endfor %}", "{% for a.b in l %}{% endfor %}",
    # set and scopes
    "{% set a = 1 %}{{ a }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set (a, (b, c)) = (1, (2, 3)) %}{{ a }}{{ b }}{{ c }}", "{% set a %}x{{ s }}y{% endset %}{{ a }}", "{% set a | upper %}x{{ s }}{% endset %}{{ a }}", "{% set a | replace('x', 'y') | upper %}xz{% endset %}{{ a }}",
    "{% set a = 1 %}{% for i in l %}{% set a = a + 1 %}{{ a }}{% endfor %}{{ a }}", "{% set a = 1 %}{% if t %}{% set a = 2 %}{% endif %}{{ a }}", "{% if t %}{% set a = 2 %}{% endif %}{{ a }}", "{% if f %}{% set i = 2 %}{% endif %}{{ i }}", "{% for x in l %}{% set z = x %}{% endfor %}{{ z is defined }}", "{{ i }}{% set i = 1 %}{{ i }}",
    "{% set ns = namespace(c=0) %}{% for a in l %}{% set ns.c = ns.c + a %}{% endfor %}{{ ns.c }}", "{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.b = ns.a %}{{ ns.a }}{{ ns.b }}{{ ns }}", "{% set ns = {} %}{% set ns.a = 1 %}", "{% set undefined_x.a = 1 %}", "{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}{{ ns.b }}", "{% set ns = namespace() %}{% set ns.a %}txt{% endset %}{{ ns.a }}",
    "{% set ns = namespace() %}{% set ns._a = 1 %}", "{% set ns = namespace(l=[]) %}{% for a in l %}{% set ns.l = ns.l + [a] %}{% endfor %}{{ ns.l }}", "{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}", "{% set a = a %}{{ a is defined }}", "{% set i = i + 1 %}{{ i }}", "{% set 1 = 2 %}", "{% set true = 1 %}", "{% set a.b.c = 1 %}", "{% set a[0] = 1 %}", "{% set a %}x",
    "{% set x = 1 %}{% set x = x ~ 'a' %}{% set x = x ~ 'b' %}{{ x }}", "{% for a in l %}{% if loop.first %}{% set q = a %}{% endif %}{{ q }}{% endfor %}", "{% for a in l %}{{ q is defined }}{% set q = a %}{% endfor %}", "{% for a in l %}{{ i }}{% set i = a %}{{ i }} {% endfor %}{{ i }}", "{% if t %}{% set a = 1 %}{% else %}{% set b = 1 %}{% endif %}{{ a is defined }}{{ b is defined }}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}", "{% with %}{% set z = 1 %}{{ z }}{% endwith %}{{ z is defined }}", "{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with i = i + 1 %}{{ i }}{% endwith %}{{ i }}", "{% with a, b = (1, 2) %}{{ a }}{{ b }}{% endwith %}",
    "{% set a = 'x' %}{% set b %}{% set a = 'y' %}{{ a }}{% endset %}{{ a }}{{ b }}", "{% filter upper %}{% set zz = 1 %}a{{ zz }}{% endfilter %}{{ zz is defined }}", "{% for a in l %}{% with b = a %}{% set c = b %}{{ c }}{% endwith %}{{ c is defined }}{% endfor %}",
    "{% set loop_messages = l %}{% for a in loop_messages %}{% set content = a ~ 'c' %}{{ content }}{% endfor %}", "{% set x = x if x is defined else 1 %}{{ x }}", "{% set foo = undefined_x %}{{ foo is defined }}", "{% set s2 = s %}{% set s = 'new' %}{{ s2 }}{{ s }}",
    # macros
    "{% macro m() %}x{% endmacro %}{{ m() }}{{ m() }}", "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}{{ m(1, b=7) }}", "{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}", "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}", "{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}",
    "{% macro m(a) %}x{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}x{% endmacro %}{{ m(b=1) }}", "{% macro m(a) %}x{% endmacro %}{{ m(1, a=1) }}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, a=3) }}", "{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1, 2, 3) }}", "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(5) }}",
    "{% macro m(a, b=c, c=1) %}{{ b is defined }}{% endmacro %}{{ m(5) }}", "{% macro m(a=i) %}{{ a }}{% endmacro %}{{ m() }}", "{% macro m() %}{{ i }}{{ zz }}{% endmacro %}{% set zz = 3 %}{{ m() }}", "{% set zz = 1 %}{% macro m() %}{{ zz }}{% endmacro %}{% set zz = 3 %}{{ m() }}", "{% macro m() %}{% set i = 99 %}{{ i }}{% endmacro %}{{ m() }}{{ i }}",
    "{% macro a() %}A{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "{% macro fact(k) %}{{ 1 if k < 2 else k * (fact(k - 1) | int) }}{% endmacro %}{{ fact(10) }}", "{% macro m() %}x{% endmacro %}{{ m }}{{ m.name }}{{ m.arguments }}", "{% macro m(a, b) %}x{% endmacro %}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.catch_varargs }}{{ m.caller }}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}body{% endcall %}", "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{% endcall %}", "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}", "{% macro m() %}x{% endmacro %}{% call m() %}b{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% macro m(l) %}{% for a in l %}{{ caller(a) }}{% endfor %}{% endmacro %}{% call(x) m(l) %}<{{ x }}{{ i }}>{% endcall %}", "{% call s.upper() %}x{% endcall %}", "{% call foo %}x{% endcall %}", "{% for a in l %}{% macro m(b) %}{{ a }}{{ b }}{% endmacro %}{{ m('x') }}{% endfor %}", "{% if t %}{% macro m() %}x{% endmacro %}{% endif %}{{ m() }}",
    "{% macro m(x) %}{% if x %}{{ m(x[1:]) }}{{ x[0] }}{% endif %}{% endmacro %}{{ m('abc') }}", "{% macro m(a, a) %}{% endmacro %}", "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m(1) %}{% endmacro %}", "{% macro m(*a) %}{% endmacro %}", "{% macro m(caller) %}{{ caller }}{% endmacro %}{{ m(1) }}", "{% macro m(caller=5) %}{{ caller }}{% endmacro %}{{ m() }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'a': 2}) }}", "{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(1, *[2]) }}{{ m(*'xy') }}{{ m(b=1, **{'a': 2}) }}", "{{ m() }}{% macro m() %}x{% endmacro %}", "{% macro m() %}{{ kwargs.a }}{% endmacro %}{{ m(a=1, b=2) }}", "{% macro m(kwargs) %}{{ kwargs }}{% endmacro %}{{ m(1) }}",
    "{% macro m() -%}\n  x\n{%- endmacro %}[{{ m() }}]", "{% macro o() %}{% macro inner() %}I{% endmacro %}{{ inner() }}{% endmacro %}{{ o() }}{{ inner is defined }}", "{% macro m(v) %}{{ v | tojson }}{% endmacro %}{{ m({'a': '<'}) | upper }}", "{% macro m() %}{% if f %}x{% endif %}{% endmacro %}{{ 'y' if m() else 'n' }}", "{% set mm = namespace(f=none) %}{% for a in [1] %}{% macro g() %}{{ a }}!{% endmacro %}{% set mm.f = g %}{{ mm.f() }}{% endfor %}",
    # blocks of other kinds
    "{% filter upper %}a{{ s }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}aac{% endfilter %}", "{% filter nope %}x{% endfilter %}", "{% generation %}x{{ s }}{% endgeneration %}", "{% for a in l %}{% generation %}{{ a }}{% endgeneration %}{% endfor %}", "{% generation %}{% set zz = 1 %}{% endgeneration %}{{ zz is defined }}", "{% for a in l %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    "{% block b %}x{{ s }}{% endblock %}", "{% block b %}x{% endblock b %}{{ self.b() }}", "{% set zz = 1 %}{% block b %}{{ zz }}{% endblock %}", "{% block b %}{% set q = 1 %}{{ q }}{% endblock %}{{ q is defined }}", "{% for a in l %}{% block b %}{{ a is defined }}{% endblock %}{% endfor %}", "{% block b %}{{ super() }}{% endblock %}", "{% block b %}{% endblock %}{% block b %}{% endblock %}", "{% print s, i %}", "{% autoescape false %}{{ html }}{% endautoescape %}",
    "{% include 'x' %}", "{% if f %}{% include 'x' %}{% endif %}ok", "{% import 'x' as y %}", "{% if f %}{% from 'x' import a, b as c %}{% endif %}ok{{ a is defined }}", "{% extends 'x' %}", "{% if f %}{{ s | nope }}{% endif %}ok", "{% if t %}{{ s | nope }}{% endif %}", "{{ s | nope if f else 'ok' }}", "{% if f %}{% for a in l %}{{ a | nope }}{% endfor %}{% endif %}", "{% if f %}{{ s is nope }}{% endif %}ok", "{% do l %}", "{% trans %}x{% endtrans %}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set _ = c.reset() %}{{ c.next() }}", "{% set j = joiner(', ') %}{% for a in l %}{{ j() }}{{ a }}{% endfor %}", "{% set j = joiner() %}{{ j() }}{{ j() }}",
    "{{ raise_exception('no: ' ~ s) }}", "{% if s is string %}{% set ok = 1 %}{% else %}{{ raise_exception('x') }}{% endif %}{{ ok }}", "{% set f = 'x'.upper %}{{ f() }}", "{% set f = '{}-{}'.format %}{{ f(1, 2) }}", "{{ '{0.__class__}'.format(s) }}", "{{ ''.__class__.__mro__ }}", "{{ d.__len__ is defined }}", "{{ s._private is defined }}",
    "{%- set ns = namespace(found=false) -%}{%- for m in users -%}{%- if m.age == 25 -%}{%- set ns.found = true -%}{%- endif -%}{%- endfor -%}{{ ns.found }}", "{% for message in users %}{{ '<|' + message['name'] + '|>\n' + message.age | string + '\n' }}{% endfor %}", "{{ 'a' if s == 'x' else ('b' if i else 'c') }}",
    "{% set content = sp | trim %}{% if content.startswith('p') and 'd' in content %}{{ content.split('d')[0] }}{% endif %}", "{% for t1 in users %}{{ t1 | tojson(indent=4) }}\n{% endfor %}", "{{ (l | length) * 2 }}{{ l|length*2 }}", "{{ not true or true }}{{ not (true or true) }}", "{{ 1 if f else 2 if t else 3 }}", "{{ 'a' 'b' if t }}", "{{ l[0] if l }}", "{{ [1, 2, 3][::-1] | join }}{{ s[1:-1:2] }}",
    "{% set x %}{% endset %}[{{ x }}]{{ x is defined }}{{ x == '' }}", "{% set a = namespace(x=1) %}{% set b = a %}{% set b.x = 2 %}{{ a.x }}", "{{ loop }}", "{{ a.b.c }}", "{{ d.b.c }}", "{{ d.b.c.d }}", "{{ '%02d:%02d' % (5, 7) }}", "{{ users | map(attribute='name') | map('upper') | sort | join(', ') }}", "{{ (users | selectattr('age', 'gt', 26) | list)[0].name }}",
]

# One in each line, with ⏎ for a newline.
MORE_TEMPLATES = r"""
{% generation %}{{ kwargs }}{{ varargs }}{{ caller is defined }}{% endgeneration %}
{% generation %}{{ caller() }}{% endgeneration %}
{{ [2,1]|sort(reverse=1.0) }}
{{ [2,1]|sort(reverse=missing) }}
{{ [missing | e, (missing|e).expandtabs(), (''|safe).expandtabs(), (''|e)+'', (''|safe)*2, ('a'|safe)*0, (''|safe).strip(), ('a'|safe)[1:], (''|safe).upper(), ('-'|safe).join([]), [''|safe]|join, []|join(''|safe), ('a'|safe)|replace('a',''), ('a'|safe).replace('a','') ,(''|safe)|trim,(''|safe)|indent, (''|safe)|first, ('ab'|safe)|last,('ab'|safe)|reverse,''|forceescape, {}|xmlattr] }}
{{ [''|safe|center(3), ('a'|safe)|truncate(5), ''|safe|upper, ('x'|safe)|title, 'x'|safe|capitalize, ''|urlencode, ('%s'|safe)|format('<'), ('a b'|safe).split(), ('a b'|safe).partition(' '), ('a\nb'|safe).splitlines(), 'x'|safe|string, ('x'|safe)~'', ''~('x'|safe), (''|safe)~'<', 'a'|safe|default('b'), missing|default('b'|safe), ['<'|safe, '<']|join('&'), ['<', '<']|join('&'|safe)] }}
{% set z = 'aB'|safe %}{{ [z.upper(), z.lower(), z.title(), z.capitalize(), z.swapcase(), z.casefold(), z.ljust(3), z.rjust(3), z.center(4), z.zfill(4), z.strip(), z.lstrip(), z.rstrip(), z.removeprefix('a'), z.removesuffix('B'), z.expandtabs(), z[0], z[::-1], z.replace('a','<'), z.join(['<']), z.split('a'), z.rsplit('B'), z.partition('a'), z.rpartition('a'), z.splitlines()] }}
{{ ('{}'|safe).format('<') }}
{{ ('{} {a}'|safe).format('<', a='&') }}
{{ ('{!r:>5}'|safe).format('<') }}
{{ ('{:>5}'|safe).format('<') }}
{{ ('{:>5} {}'|safe).format(1, 2.5) }}
{{ ('%s %d'|safe) % ('<', 3) }}
{{ ('{}<'|safe).format('<'|safe) ~ '<' }}
{{ [('{}<'|safe).format('<')] }}
{{ ('{:3}<'|safe).format('<'|safe) ~ '<' }}
{{ ('{!s:3}<'|safe).format('<'|safe) ~ '<' }}
{{ ('{:{}}'|safe).format('<', 4) }}
{{ ('x'|safe).format_map({'a':1}) }}
{{ 'a' 'b' ~ 'c' }}{{ 1.__class__ is defined }}
{{ '１２' | int }}{{ '٣' | float }}
{{ '1２' | int(base=16) }}
{{ [1,2,3][-2:] }}{{ [1,2,3][::-2] }}{{ 'abc'[-1:-4:-1] }}{{ 'abc'[5:-10:-1] }}{{ (1,2,3)[-10:10:2] }}{{ range(10)[-3:] }}{{ range(10)[::-3] | list }}
{% for a in l %}{% for b in l %}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.changed(b // 2) }}{{ loop.cycle('x', 'y', 'z') }}{% if b == a %}{% continue %}{% endif %}.{% if loop.index > 1 and a == 2 %}{% break %}{% endif %}{% endfor %}|{% endfor %}
{% for a in l recursive %}{{ loop.depth }}{% if loop.depth < 3 and loop.first %}({{ loop([a, a + 1]) }}){% endif %}{% endfor %}
{% for u in users %}{% set outer = loop %}{% for t in u.tags %}{{ outer.index }}{{ loop.index }}{% else %}none{% endfor %}{{ loop.last }}{% endfor %}
{% set ns = namespace(a=1, b={'c': 2}) %}{% set ns.b = dict(ns.b, d=3) %}{{ ns.b }}{{ ns.missing is defined }}{{ ns['a'] }}{{ ns.a + 1 }}
{% set d = {'a': 1} %}{% set d.a = 2 %}
{% set x = l.append(1) %}
{{ l.extend([1]) }}
{{ l.insert(0, 1) }}
{{ l.remove(1) }}
{{ l.pop() }}
{{ l.clear() }}
{{ l.reverse() }}
{{ d.clear() }}
{{ d.popitem() }}
{{ d.setdefault('x', 1) }}
{{ d.update(a=1) }}
{{ d.pop('a') }}
{% set z = d['pop'] %}{{ z('a') }}
{{ d | attr('pop') }}
{{ s.__len__() }}
{{ s.format.__globals__ }}
{{ ''.join.__self__ }}
{{ range.__call__ }}
{{ (l | map(attribute='__class__') | list) }}
{{ [{}] | map(attribute='__class__') | first is defined }}
{{ 9223372036854775807 }}{{ -9223372036854775807 }}{{ 18446744073709551616 }}{{ 123456789012345678901234567890 == 123456789012345678901234567890 }}{{ [123456789012345678901234567890] }}{{ {'a': 123456789012345678901234567890} | tojson }}
{{ 9223372036854775807 // 2 }}{{ 9223372036854775807 % 10 }}{{ (-9223372036854775807 - 1) // 10 }}{{ (-7) // 2 }}{{ (-7) % 2 }}{{ 7 % -2 }}{{ -7.5 // 2 }}{{ 1e308 * 10 }}{{ -1e308 * 10 }}
{{ 0.1 + 0.2 }}{{ 1e22 }}{{ 1e21 }}{{ 123456789.123456789 }}{{ 1e-5 }}{{ 0.0001 }}{{ 1.0 }}{{ -0.0 }}{{ 5e-324 }}{{ 1.7976931348623157e308 }}{{ 4.35 * 100 }}{{ 2 / 3 }}{{ 1e16 }}{{ 9999999999999998.0 }}{{ 100000.0 * 10 ** 11 }}
{{ "\x41\u00e9\U0001F600\101\n\t\\\'\"" }}{{ '\q' }}{{ '\x4' }}
{{ "\u12" }}
{{ {'b': [1, {'z': none, 'a': true}], 'a': 'é"\\/\u2028\x7f'} | tojson }}{{ {'b': 1, 'a': [1, 2]} | tojson(indent=4, sort_keys=true, separators=(',', ': ')) }}{{ 'é😀' | tojson(ensure_ascii=true) }}{{ [1.0, 1e100, -0.0, 1e-7] | tojson }}{{ [] | tojson(indent=2) }}{{ [[], {}] | tojson(indent=2) }}
{{ {'b': 1, 'A': 2, 'a': 3} | dictsort }}{{ {'b': 1, 'A': 2, 'a': 3} | dictsort(true) }}{{ {'b': 2, 'A': 1} | dictsort(by='value') }}{{ {'b': 2, 'A': 1} | dictsort(reverse=true) }}{{ {1: 2, 'a': 1} | dictsort }}
{{ {1: 2, 0: 1} | dictsort }}
{% macro m(a, b='d', *c) %}{% endmacro %}
{% macro m(a, b='d') %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m() }}{{ m(1) }}{{ m(1, 2, 3) }}{{ m(b=1) }}{{ m(1, c=2) }}
{% macro m(a) %}{{ caller(a, a + 1) }}{{ caller.name }}{{ caller.arguments }}{% endmacro %}{% call(x, y=5) m(1) %}{{ x }}{{ y }}{{ s }}{% endcall %}
{% macro outer() %}{% macro inner(x) %}[{{ x }}{{ caller() if caller }}]{% endmacro %}{{ inner(1) }}{% call inner(2) %}c{% endcall %}{% endmacro %}{{ outer() }}
{% call(a) (lambda) %}{% endcall %}
{%- set a = 1 -%}   x   {%- if t +%} y {%+ endif -%} z
a  {%- raw +%}
{% if t %}\N{% if t %}⏎x\N{% endif %}\N{% endif %}⏎y
  {%- for a in l %}⏎  {{ a }}⏎  {%- endfor %}⏎  {% for a in l -%}⏎  {{ a }}⏎  {% endfor %}⏎
   {%+ if t %}x{% endif %}⏎   {# c #}⏎   {#- c #}\N{{ s }}  \N{%- if t %}⏎⏎\N{%- endif %}z
{{- s -}}⏎\N{{- s }}  {{ s -}}  ⏎ {{ s }}
{{ raise_exception('Ünïcode: ' ~ u) }}
{{ raise_exception() }}
{{ raise_exception(message='kw') }}
{{ raise_exception(5) }}
{{ raise_exception([1, 'a']) }}
{{ raise_exception(none) }}
{{ raise_exception('a\nb') }}
{{ raise_exception('') }}
a⏎b\N{{ 1 +⏎ }}
a\N{% for %}
{{ s }⏎}
{% if t %}\N{% elsif %}
⏎\N{% endfor %}
{% if t %}⏎\N{% for a in l %}\N{% endif %}
{{ (1 }}
{{ [1, }}
{{ {'a' 1} }}
{{ 'a }}
{% set = 1 %}
{% set a %}
{% macro %}{% endmacro %}
{% block 1 %}{% endblock %}
{{ a.1b }}
{{ a b }}
{{ | upper }}
{{ a | }}
{{ a is }}
{{ a is not }}
{{ a if }}
{{ not }}
{{ a.b.['c'] }}
{{ 1 2 }}
{{ $ }}
{{ a ? b }}
{{ a && b }}
{{ a || b }}
{{ !a }}
{{ a = b }}
{{ a == }}
{{ a in }}
{{ f(a=1, 2) }}
{{ f(**{}, a) }}
{{ f(*[], *[]) }}
{% for a, in l %}{{ a }}{% endfor %}
{% for a, in [[1]] %}{{ a }}{% endfor %}
{% for a in l if %}{% endfor %}
{% for a in %}{% endfor %}
{% for a of l %}{% endfor %}
{% else %}
{% continue %}
{% macro m() %}{% continue %}{% endmacro %}
{% for a in l %}{% call(b) m() %}{% break %}{% endcall %}{% endfor %}
{% with a %}{% endwith %}
{% filter %}{% endfilter %}
{% raw %}
{% endraw %}
{% unknown x %}
{{ s | selectattr() }}
{{ nope() }}
{{ s() }}
{{ s.upper(1) }}
{{ s | upper(1) }}
{{ s | replace }}
{{ s | nope }}
{{ s is nope }}
{{ n.x.y }}
{{ d.nope.x }}
{{ l[10].x }}
{{ n + 1 }}
{{ d + d }}
{{ d * 2 }}
{{ s - 1 }}
{{ l - l }}
{{ s < 1 }}
{{ d < d }}
{{ n < n }}
{{ [] + () }}
{{ -s }}
{{ +l }}
{{ 5 in 5 }}
{{ 'a' in none }}
{{ none in 'a' }}
{% for a in 5 %}{% endfor %}
{% for a in none %}{% endfor %}
{% for a, b in {'ab': 1, 'cd': 2} %}{{ a }}{{ b }}{% endfor %}
{% for a in 'é日😀' %}{{ loop.index }}{{ a }}{% endfor %}
{% set a, b = 'xy' %}{{ a }}{{ b }}{% set a, b = b, a %}{{ a }}{{ b }}
{% set a, b = 1 %}
{% set a, b = [1, 2, 3] %}
{{ messages[0]['content'] }}
{{ tools is defined and tools is not none }}{{ tools is iterable }}
{{ users | map(attribute='name') | join(', ') }}{{ users | selectattr('age', '>', 26) | map(attribute='name') | list }}{{ users | rejectattr('o', 'undefined') | map(attribute='o.p') | list }}
{{ users | map(attribute='age') | sum }}{{ users | sum('age', 5) }}{{ users | max(attribute='age') == users[0] }}{{ users | sort(attribute='name', case_sensitive=true) | map(attribute='name') | join }}
{{ 'abc' | batch(2) | list }}{{ 'abc' | batch(2, '-') | map('join') | list }}{{ [1, 2, 3, 4] | batch(3, 0) | list }}
{{ 'x' | indent(4, true) }}{{ 'a\n\nb' | indent(2, first=true, blank=true) }}{{ 'a\r\nb' | indent }}
{{ 'a-b_c d' | title }}{{ "it's o'clock" | title }}{{ "it's o'clock".title() }}{{ 'ÀÉ' | lower | capitalize }}{{ 'ŉ' | upper }}{{ 'ß' | capitalize }}
{{ 2.5 | round }}{{ 3.5 | round | int }}{{ -2.5 | round }}{{ 2.675 | round(2) }}{{ 1234.5 | round(-2) }}{{ 2.1 | round(method='ceil') }}{{ 2.9 | round(0, 'floor') }}{{ 7 | round(1) }}
{{ '%.3f|%5d|%-5s|%05.1f|%+d|%x|%o|%e|%g|%s|%r|%c|%%' % (1.5, 42, 'ab', 2.25, 7, 255, 8, 12345.678, 0.00001, none, 'q', 'z') }}
{{ '{:>10}|{:<10}|{:^10}|{:*^10}|{:+.2f}|{:,}|{:e}|{:%}|{:b}|{:#x}'.format('a', 'b', 'c', 'd', 3.14159, 1234567, 1234.5, 0.256, 5, 255) }}
{% generation %}{{ s }}{% set inner = 1 %}{% endgeneration %}{{ inner is defined }}
{% set ns = namespace(n=0) %}{% for a in range(5) %}{% generation %}{% set ns.n = ns.n + a %}{% endgeneration %}{% endfor %}{{ ns.n }}
{% set j = joiner('|') %}{{ j() }}a{{ j() }}b{{ j() }}c{% set c = cycler('x', 'y') %}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}
{{ strftime_now('%Y-%m-%d %H:%M:%S') | length }}{{ strftime_now('%%') }}
{{ 'a b  c'.split() }}{{ ' a b '.split(' ') }}{{ 'a,b,c'.split(',', 1) }}{{ 'a,b,c'.rsplit(',', 1) }}{{ 'abc'.split('') }}
{{ 'a' < 'b' < 'c' }}{{ 1 < 2 > 1 }}{{ 1 == 1.0 == true }}{{ not 1 == 2 }}{{ 1 in [1] == true }}{{ (1 in [1]) == true }}{{ 'a' not in 'bc' and not f }}
{{ (a if b) is defined }}{{ ('x' if f) ~ 'y' }}{{ ('x' if f) | default('z') }}{{ [('x' if f)] }}
{{ ('x' if f).foo }}
{{ 1 if t else }}
{{ {'a': {'b': {'c': [1, {'d': 'deep'}]}}}.a.b.c[1].d }}{{ {'items': 1}.items }}{{ {'items': 1}['items'] }}{{ {'get': 5}.get('get') }}
{{ d.items }}
{{ l | first }}{{ [] | first }}{{ [] | last }}{{ '' | first }}{{ {} | first }}
{{ [1, [2, [3, 'x']], {'k': (1,)}, none, true, 1.5, 'q\'"'] }}{{ (1,) }}{{ () }}{{ {} }}{{ [()] }}
{{ '\u00ad\u200b\u2028\x85\xa0\ufeff\U000e0001\ud7ff' | list }}
{{ '１２' | int }}{{ '٣' | float }}{{ '𝟗𝟙' | int }}{{ 'é' | int }}{{ '1é' | float }}{{ '²' | int }}{{ '１.５e２' | float }}{{ '-１' | int }}{{ '１_２'|int }}
{{ ' １ ' | int(5) }}{{ '９９９９９９９９９９９９９９９９９９９' | float }}
"""


def render(template):
    try:
        return [template, _compile_jinja_template(template).render(**json.loads(json.dumps(VARIABLES)))]
    except exceptions.TemplateSyntaxError as error:
        return [template, None, "syntax", error.lineno]
    except exceptions.UndefinedError as error:
        return [template, None, "undefined", error.message]
    except Exception as error:
        raised = type(error) is exceptions.TemplateError
        return [template, None, "raised" if raised else "other", str(error.message) if raised else None]


def split(line):
    """The expressions of a line, which commas separate."""
    parts, start, depth, quote, at = [], 0, 0, None, 0
    while at < len(line):
        c = line[at]
        if quote:
            at += c == "\\"
            quote = None if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == "," and depth == 0:
            parts.append(line[start:at].strip())
            start = at + 1
        at += 1
    return [part for part in parts + [line[start:].strip()] if part]


def line_cases(line):
    """One case for the whole line if it can be rendered, else one for what can and one for each expression that fails."""
    whole = render("{{ " + line + " }}")
    parts = split(line)
    if whole[1] is not None or len(parts) < 2:
        return [whole]
    alone = [render("{{ " + part + " }}") for part in parts]
    good = [part for part, case in zip(parts, alone) if case[1] is not None]
    return ([render("{{ " + ", ".join(good) + " }}")] if good else []) + [case for case in alone if case[1] is None]


def main():
    more = [line.replace("⏎", "\n") for line in MORE_TEMPLATES.strip("\n").split("\n")]
    cases = [render(template) for template in TEMPLATES + more]
    for line in EXPRESSIONS.strip("\n").split("\n"):
        cases += line_cases(line)
    stable = [case for case in cases if case[1] is None or " at 0x" not in case[1]]
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write('{"variables": ' + json.dumps(VARIABLES, ensure_ascii=False) + ',\n"cases": [\n')
        file.write(",\n".join(json.dumps(case, ensure_ascii=False) for case in stable) + "\n]}\n")


if __name__ == "__main__":
    main()
