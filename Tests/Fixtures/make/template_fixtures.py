"""Writes templates/rules.jsonl: Jinja snippets, one rule each, and templates/chats.json: whole templates with
conversations, as transformers (jinja2 in its sandbox) renders them."""

import datetime
import json
import pathlib

import jinja2
from transformers.utils import chat_template_utils

import chat_templates

DATA = {
    "text": "  Grüße, <b>it's</b>\n a-b c_d ",
    "word": "abcabc",
    "list": [3, 1, 2],
    "names": ["b", "A", "a", "C"],
    "object": {"b": 1, "a": 2, "items": 7},
    "turns": [{"role": "user", "n": 1}, {"role": "bot", "n": None}, {"role": "user"}],
    "big": 12345678901234567890,
    "none_value": None,
}

RULES = {
    "a tag at a line's start takes the blanks before it and the line feed after it": "a\n  {% if true %}\nb\n  {% endif %}\nc\n",
    "a plus keeps both": "a\n  {%+ if true +%}\nb{% endif %}",
    "a minus takes all white space": "a \n {%- if true -%} \n b {%- endif -%} \n c",
    "braces balance before a tag ends": "{{ {'a': {'b': 1}}['a'] }}",
    "a comment takes its line feed": "{# one #}\n{#- two -#}\n  x",
    "raw text": "{% raw %}{{ a }} {% b %}{% endraw %}",
    "carriage returns become line feeds": "a\r\nb\rc",
    "escapes in strings": r"""{{ 'a\tb\x41\u00e9\101\q\'' }}""",
    "adjacent strings join": "{{ 'a' \"b\" }}",
    "numbers": "{{ 1_000 }} {{ 0x1F }} {{ 1.50 }} {{ 1e16 }} {{ 1e-5 }} {{ 123456789012345.0 }} {{ big + 1 }}",
    "Python prints containers": "{{ [1, 'a', none, true, 1.0, {'k': \"it's\"}, (1,)] }}",
    "division and remainder round down": "{{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ -7.5 // 2 }}",
    "powers associate to the left, a sign binds tighter": "{{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}",
    "comparisons chain": "{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ [1, 2] < [1, 3] }} {{ 'a' < 'B' }}",
    "text and numbers do not add": "{{ 'a' + 1 }}",
    "tilde joins anything": "{{ 'a' ~ 1 ~ none ~ missing ~ [2] }}",
    "undefined is false, empty and equal to itself": "{{ missing }}|{{ missing == other }}|{{ missing|length }}|{{ 'a' in missing }}",
    "an attribute of undefined is an error": "{{ missing.x }}",
    "a missing key is undefined": "{{ object.zz is defined }}{{ object['zz'] is defined }}{{ none_value.x is defined }}",
    "methods go before keys, with brackets keys go first": "{{ object['items'] }} {{ object.items()|list }}",
    "what begins with an underscore is hidden": "{{ word.__class__ is defined }}",
    "changing a list is forbidden": "{{ list.append(1) }}",
    "slices": "{{ list[1:] }} {{ word[::-1] }} {{ word[-2:] }} {{ text[2:4] }}",
    "a loop's assignments end with the round": "{% set x = 0 %}{% for i in list %}{{ x }}{% set x = i %}{{ x }} {% endfor %}{{ x }}",
    "assignments in if are seen after it": "{% if true %}{% set y = 1 %}{% endif %}{{ y }}",
    "a namespace outlives loops": "{% set ns = namespace(n=0) %}{% for i in list %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
    "a name assigned later is undefined before": "{% macro m() %}[{{ z }}]{% endmacro %}{{ m() }}{% set z = 1 %}{{ m() }}",
    "loop variables": "{% for i in list %}{{ loop.index }}/{{ loop.length }}{{ loop.first }}{{ loop.last }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}",
    "a loop's test and its length": "{% for i in list if i > 1 %}{{ loop.index }}/{{ loop.length }} {% else %}none{% endfor %}",
    "break and continue": "{% for i in list %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% if i == 2 %}{% break %}{% endif %}{% endfor %}",
    "break outside of a loop": "{% break %}",
    "recursion": "{% for i in [1, [2, [3]]] recursive %}{% if i is number %}{{ i }}{{ loop.depth }} {% else %}{{ loop(i) }}{% endif %}{% endfor %}",
    "macros": "{% macro m(a, b=a ~ '!') %}<{{ a }}{{ b }}{{ varargs }}{{ kwargs }}>{% endmacro %}{{ m(1) }}{{ m(1, 2, 3, k=4) }}{{ m(b=1) }}",
    "a macro takes no more than it names": "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "call blocks": "{% macro m() %}({{ caller(1) }}){% endmacro %}{% call(x) m() %}{{ x + 1 }}{% endcall %}",
    "block assignments and filters": "{% set t | upper %}a{{ 1 }}{% endset %}{{ t }}{% filter trim %}  b {% endfilter %}",
    "a generation is a scope": "{% generation %}{% set q = 1 %}{{ q }}{% endgeneration %}{{ q is defined }}",
    "string methods": "{{ word.split('b') }} {{ word.rsplit('b', 1) }} {{ text.strip() }} {{ 'it is'.title() }} {{ 'straße'.upper() }} {{ word.partition('b') }}",
    "white space of any script is stripped": "[{{ '\u00a0\u2003a\u3000'.strip() }}]",
    "filters": "{{ names|sort }} {{ names|unique|list }} {{ turns|map(attribute='role')|join(',') }} {{ turns|selectattr('n')|list|length }} {{ object|dictsort }} {{ turns|groupby('role')|list|length }}",
    "a filter's result is walked over once": "{% set g = list|map('string') %}{{ g|join }}|{{ g|join }}",
    "a filter's result has no length": "{{ list|map('string')|length }}",
    "default": "{{ missing|default('d') }}{{ ''|default('d') }}{{ ''|default('d', true) }}{{ none|d('x') }}",
    "tojson keeps order, spelling classes and characters": "{{ {'b': [1, 1.0, big, none, true], 'a': 'é\"\\n\\u007f'}|tojson }}",
    "tojson indents as Python": "{{ {'a': [1, {}], 'b': []}|tojson(indent=2) }}",
    "tojson of undefined": "{{ missing|tojson }}",
    "marked text escapes what joins it": "{{ '<b>'|safe + '<i>' }} {{ '<b>'|safe ~ '<i>' }} {{ '<'|e }}",
    "printf": "{{ '%5.2f|%-4d|%04d|%s|%r|%x|%%' % (1.005, 3, -7, none, 'a', 255) }} {{ '%(a)s' % {'a': 1} }}",
    "format": "{{ '{}-{0!r}'.format('a') if false }}{{ '{0:>5}|{1:<4}|{2:^7.2f}|{x[k]}'.format('a', 1, 2.5, x={'k': 3}) }}",
    "rounding": "{{ 2.5|round }} {{ 42.55|round(1) }} {{ 42.55|round(1, 'floor') }} {{ 5|round }} {{ 2.675|round(2) }}",
    "int and float": "{{ '42.7'|int }} {{ 'x'|int(9) }} {{ '0x1f'|int(0, 16) }} {{ ' 3.5 '|float }} {{ none|int }}",
    "indent": "{{ 'a\n\nb\nc'|indent(2) }}|{{ 'a\nb'|indent(1, true) }}",
    "tests": "{{ 1 is number }}{{ true is integer }}{{ missing is iterable }}{{ object is mapping }}{{ 'a' is in names }}{{ 4 is divisibleby 2 }}{{ not 1 is none }}",
    "an unknown filter where it is used": "{{ 1|nosuch }}",
    "an unknown filter in a branch that is not taken": "{% if false %}{{ 1|nosuch }}{% endif %}ok",
    "the template refuses": "{{ raise_exception('no ' ~ 1) }}",
    "ranges are bounded": "{{ range(100001)|length }}",
    "a loop's else also follows where no round came to its end": "{% for i in list %}{{ i }}{% continue %}{% else %}E{% endfor %}{% for i in list %}{% break %}{% else %}E{% endfor %}{% for i in list %}{% if loop.index == 2 %}{% break %}{% endif %}{% else %}E{% endfor %}",
    "the last piece of a limited split keeps its white space": "{{ ' a  b c '.split(none, 1) }} {{ ' a b  c '.rsplit(none, 1) }} {{ text.split(maxsplit=1) }}",
    "first takes nothing": "{{ list|first(1) }}",
    "items takes nothing": "{{ object|items(1) }}",
    "digits of all scripts": "{{ '٣'|int }} {{ '１２.５'|float }}",
    "a sigma at the end of a word": "{{ 'ΑΣ ΑΣΑ'.swapcase() }} {{ 'ΑΣ'.lower() }}",
    "slices of ranges": "{{ range(3)[::2] }} {{ range(5)[5:1] }} {{ range(9)[1:7:3] }} {{ range(4)[::-1] }}",
    "a default's filter must exist": "{% if false %}{% macro m(a=1|nosuch) %}{% endmacro %}{% endif %}",
    "translation": "{{ word.translate({97: 'x', 98: none, 99: 100}) }} {{ word.translate(word.maketrans('ab', 'AB', 'c')) }}",
    "pprint sorts keys": "{{ {'b': 1, 'a': {'d': 2, 'c': 3}}|pprint }}",
    "raw text that never begins": "{% raw %}",
    "an unclosed block": "{% if true %}a",
    "a wrong end": "{% for i in list %}{% endif %}",
}


def render(template):
    try:
        compiled = chat_template_utils._cached_compile_jinja_template(template)
        return {"expected": compiled.render(messages=[], tools=None, documents=None, add_generation_prompt=False, **DATA)}
    except jinja2.exceptions.TemplateError as error:
        kind = "raised" if type(error) is jinja2.exceptions.TemplateError else "error"
        return {kind: str(error)}
    except Exception as error:
        return {"error": str(error)}


NOW = "2026-03-05T14:07:09"


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromisoformat(NOW)


def chat(template, conversation):
    """A conversation's prompt, or how it is refused."""
    variables = dict(bos_token="<s>", eos_token="</s>", **conversation.get("kwargs", {}))
    chat_template_utils.datetime = Clock
    try:
        (text,), _ = chat_template_utils.render_jinja_template(
            [conversation["messages"]], tools=conversation.get("tools"), documents=conversation.get("documents"),
            chat_template=template, add_generation_prompt=conversation.get("add_generation_prompt", False), **variables)
        return {"expected": text}
    except Exception as error:
        return {"raised" if type(error) is jinja2.exceptions.TemplateError else "error": str(error)}


def chats():
    conversations = [dict(conversation, now=NOW, bos_token="<s>", eos_token="</s>")
                     for conversation in chat_templates.CONVERSATIONS]
    return {"conversations": conversations, "templates": [
        {"name": name, "template": template, "answers": [chat(template, given) for given in conversations]}
        for name, template in chat_templates.TEMPLATES.items()]}


folder = pathlib.Path(__file__).parent.parent / "templates"
folder.mkdir(exist_ok=True)
with open(folder / "rules.jsonl", "w") as file:
    for rule, template in RULES.items():
        print(json.dumps({"rule": rule, "template": template, "data": DATA, **render(template)}, ensure_ascii=False), file=file)
(folder / "chats.json").write_text(json.dumps(chats(), ensure_ascii=False, indent=1) + "\n")
