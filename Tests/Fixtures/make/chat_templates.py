"""Chat templates in the style of those that models bring, and conversations for them."""

WEATHER = {"type": "function", "function": {
    "name": "weather", "description": "The weather at a place; \"now\" or later.",
    "parameters": {"type": "object", "required": ["place"], "properties": {
        "place": {"type": "string", "description": "A city"},
        "unit": {"type": "string", "enum": ["C", "F"]},
        "days": {"type": "array", "items": {"type": "integer"}}}}}}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "Tells the time", "parameters": {
    "type": "object", "properties": {}}}}


def call(name, arguments, identifier="call00001"):
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


CONVERSATIONS = [
    {"messages": [{"role": "user", "content": "Hello!"}], "add_generation_prompt": True},
    {"messages": [{"role": "system", "content": " Be brief.\n"}, {"role": "user", "content": "  Wie geht's? \n"},
                  {"role": "assistant", "content": "Gut 😀 <b>&amp;</b>"}, {"role": "user", "content": "a\n\nb\n"}],
     "add_generation_prompt": True},
    {"messages": [{"role": "user", "content": "Weather in Köln?"},
                  {"role": "assistant", "content": None, "tool_calls": [
                      call("weather", {"place": "Köln", "unit": "C", "days": [1, 2], "exact": True, "at": None}),
                      call("clock", {}, "call00002")]},
                  {"role": "tool", "name": "weather", "tool_call_id": "call00001", "content": "{\"sky\": \"clear\"}"},
                  {"role": "tool", "name": "clock", "tool_call_id": "call00002", "content": "12:00"},
                  {"role": "assistant", "content": "It is clear."}, {"role": "user", "content": "Thanks"}],
     "tools": [WEATHER, CLOCK], "add_generation_prompt": True, "kwargs": {"enable_thinking": False}},
    {"messages": [{"role": "system", "content": [{"type": "text", "text": "You see."}]},
                  {"role": "user", "content": [{"type": "text", "text": "What"}, {"type": "image"},
                                               {"type": "text", "text": "is it?"}]},
                  {"role": "assistant", "content": [{"type": "text", "text": "A cat"}]}]},
    {"messages": [{"role": "user", "content": "1+1?"},
                  {"role": "assistant", "content": "<think>\nsum\n</think>\n\n2", "reasoning_content": "sum"},
                  {"role": "user", "content": "+1?"},
                  {"role": "assistant", "content": "3", "thinking": "one more\nthan two"}],
     "add_generation_prompt": False, "kwargs": {"enable_thinking": True, "reasoning_effort": "high"}},
    {"messages": [{"role": "assistant", "content": "first"}, {"role": "assistant", "content": "second"},
                  {"role": "user", "content": ""}, {"role": "narrator", "content": "dark"}],
     "documents": [{"title": "One", "text": "a"}, {"title": "Two", "text": "b", "year": 1999.0}],
     "add_generation_prompt": True, "kwargs": {"limit": 2, "names": {"user": "Ann", "assistant": "Bot"}}},
]

TEMPLATES = {
    "turns with markers": r"""{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + (message['content'] or '') | trim + '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}""",
    "a default system message": r"""
{%- if messages[0]['role'] == 'system' -%}
    {%- set system_message = messages[0]['content'] -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set system_message = 'You are a helpful assistant.' -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{{ bos_token ~ '[SYS]' ~ system_message ~ '[/SYS]' }}
{%- for m in loop_messages -%}
    {{- '\n[' ~ m.role|upper ~ '] ' ~ m.content -}}
{%- endfor -%}
{{- '\n[ASSISTANT]' if add_generation_prompt else eos_token }}
""",
    "roles must alternate": r"""{{ bos_token }}{% set messages = messages[1:] if messages[0].role == 'system' else messages %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turn ' ~ loop.index ~ ' is of ' ~ message.role ~ ', and roles must alternate') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}{% else %}{{ raise_exception("no role but user and assistant!") }}{% endif %}{% endfor %}""",
    "parts in a macro": r"""
{%- macro render(content) -%}
  {%- if content is string -%}
    {{- content -}}
  {%- elif content is sequence and content is not mapping -%}
    {%- for part in content -%}
      {%- if part.type == 'text' -%}{{ part.text }}{%- elif part.type in ('image', 'image_url') -%}<image>{%- else -%}{{ raise_exception('Unknown part: ' + part.type) }}{%- endif -%}
      {%- if not loop.last %} {% endif -%}
    {%- endfor -%}
  {%- elif content is none or content is undefined -%}
  {%- endif -%}
{%- endmacro -%}
{%- for message in messages %}
<{{ message.role }}>{{ render(message.content)|trim }}</{{ message.role }}>
{%- endfor %}
{% if add_generation_prompt %}<assistant>{% endif %}""",
    "tools as JSON with calls": r"""
{%- set ns = namespace(query=-1, open=false) %}
{%- for m in messages[::-1] if m.role == 'user' and m.content is string and not m.content.startswith('<result>') %}
    {%- if ns.query < 0 %}{%- set ns.query = messages.index(m) %}{%- endif %}
{%- endfor %}
{%- if tools %}
    {{- '<s:tools>' }}
    {%- for tool in tools %}{{- '\n' ~ tool|tojson }}{%- endfor %}
    {{- '\n</s:tools>\n' }}
{%- endif %}
{%- for m in messages %}
    {%- set thought, said = '', m.content|default('', true) %}
    {%- if m.reasoning_content is string %}
        {%- set thought = m.reasoning_content.strip('\n') %}
    {%- endif %}
    {%- if said is string and '</think>' in said %}
        {%- set thought = thought or said.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
        {%- set said = said.split('</think>')[-1].lstrip('\n') %}
    {%- endif %}
    {%- if m.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{- '<s:user>' }}{%- endif %}
        {{- '\n<result>' ~ said ~ '</result>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '</s>\n' }}{%- endif %}
        {%- continue %}
    {%- endif %}
    {{- '<s:' + m.role + '>' }}
    {%- if thought and loop.index0 > ns.query %}{{- '<think>' + thought + '</think>' }}{%- endif %}
    {{- said }}
    {%- for c in m.tool_calls or [] %}
        {%- if said or not loop.first %}{{- '\n' }}{%- endif %}
        {%- set c = c.function if c.function else c %}
        {{- '{"name": "' ~ c.name ~ '", "arguments": ' }}
        {{- c.arguments if c.arguments is string else c.arguments|tojson }}
        {{- '}' }}
    {%- endfor %}
    {{- '</s>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<s:assistant>' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think></think>' }}{%- endif %}
{%- endif %}""",
    "parameters as XML": r"""
{% macro extra(dictionary, handled) %}{% if dictionary is mapping %}{% for key in dictionary if key not in handled %}
<{{ key }}>{% if dictionary[key] is mapping or (dictionary[key] is sequence and dictionary[key] is not string) %}{{ dictionary[key] | tojson | safe }}{% else %}{{ dictionary[key] | string }}{% endif %}</{{ key }}>
{%- endfor %}{% endif %}{% endmacro %}
{%- for tool in tools or [] %}{% set tool = tool.function if tool.function is defined else tool %}
<function><name>{{ tool.name }}</name>{% if tool.description is defined %}<description>{{ tool.description | trim }}</description>{% endif %}
{%- for name, fields in tool.parameters.properties|items %}
<parameter name="{{ name }}"{{ ' required' if name in tool.parameters.required|default([]) }}>{{ extra(fields, ['type']) }}</parameter>
{%- endfor %}{{ extra(tool.parameters, ['type', 'properties', 'required']) }}
</function>
{%- endfor %}
{% for message in messages %}{% if message.tool_calls is defined and message.tool_calls is iterable and message.tool_calls | length > 0 %}
{%- for call in message.tool_calls %}
<call {{ call.function.name }}>
{%- for name, value in call.function.arguments|items %}
<{{ name }}>{{ value if value is string else value | tojson }}</{{ name }}>
{%- endfor %}</call>
{%- endfor %}{% else %}{{ message.role }}: {{ message.content }}
{% endif %}{% endfor %}""",
    "typed signatures": r"""
{%- macro kind(schema) -%}
  {%- if schema.enum is defined -%}{{ schema.enum|map('tojson')|join(' | ') }}
  {%- elif schema.type == 'array' -%}{{ kind(schema['items']) }}[]
  {%- elif schema.type == 'object' -%}
    {%- if schema.properties -%}{ {%- for name, field in schema.properties.items() -%}{{ name }}{{ '' if name in (schema.required or []) else '?' }}: {{ kind(field) }}{% if not loop.last %}, {% endif %}{%- endfor -%} }
    {%- else -%}{}{%- endif -%}
  {%- else -%}{{ {'string': 'string', 'integer': 'number'}.get(schema.type, 'any') }}{%- endif -%}
{%- endmacro -%}
{%- if tools is defined and tools is not none and tools|length > 0 -%}
namespace functions {
{% for tool in tools|map(attribute='function')|sort(attribute='name') %}
// {{ tool.description|replace('"', "'") }}
type {{ tool.name }} = (_: {{ kind(tool.parameters) }}) => any;
{% endfor %}
}
{% endif %}
{% for m in messages if m.role != 'tool' %}{{ loop.index }}/{{ loop.length }} {{ m.role }}
{% endfor %}""",
    "call blocks": r"""{% macro turn(role, end='<eot>') %}<{{ role }}>{{ caller(role|length) }}{{ end }}{% endmacro %}{% for m in messages %}{% call(size) turn(m.role, end='<' ~ loop.index ~ '>') %}{{ size }}:{{ m.content if m.content is string else m.content|length if m.content else '-' }}{% endcall %}{% endfor %}""",
    "generation tags": r"""
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {{- '<a>' }}
        {%- generation %}
            {%- set text = message.content %}
            {{- text ~ '</a>\n' }}
        {%- endgeneration %}
        {{- text is defined }}
    {%- else %}
        {{- '<' + message.role[0] + '>' ~ message.content ~ '\n' }}
    {%- endif %}
{%- endfor %}""",
    "loop controls": r"""{% set ns = namespace(seen=[], stop=false) %}{% for m in messages %}{% if m.role in ns.seen %}{% continue %}{% endif %}{% set ns.seen = ns.seen + [m.role] %}{{ loop.index0 }}{{ m.role }}{% if m.role == 'tool' %}{% break %}{% endif %};{% else %}never{% endfor %}{{ ns.seen|join('+') }}""",
    "neighbours": r"""{% for m in messages %}{% if loop.previtem is undefined or loop.previtem.role != m.role %}<{{ m.role }}>{% else %}
{% endif %}{{ m.content }}{% if loop.nextitem is not defined or loop.nextitem.role != m.role %}</{{ m.role }}>{% endif %}{% endfor %}""",
    "the last user's turn": r"""{% set users = messages|selectattr('role', 'equalto', 'user')|list %}{{ users|length }}{% for m in messages %}{% if tools and m == users[-1] %}
TOOLS {{ tools|tojson(indent=4) }}
{% endif %}{{ m.role }}={{ m.content }}{{ ' *' if loop.last }}
{% endfor %}""",
    "dates": r"""{%- if not date_string is defined %}{%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "1 Jan 2000" %}{%- endif %}{%- endif %}
{{- "Today: " + date_string + strftime_now(' %A, %-d %B %H:%M:%S %j %y %p %I %%') }}{% for m in messages %}
{{ m.role }}{% endfor %}""",
    "documents": r"""{% if documents %}# Documents
{% for d in documents %}{{ loop.index0 }}. {{ d.title }}{% if d.year %} ({{ d.year }}, {{ d.year|int }}){% endif %}
{{ d|dictsort|map('join', '=')|join('&') }}
{{ d.items()|rejectattr(0, 'in', ['title'])|list }}{% endfor %}
{% endif %}{{ messages|map(attribute='role')|unique|join('|') }}""",
    "names from a dictionary": r"""{% for m in messages %}{{ (names|default({})).get(m.role, m.role|capitalize) }}{% if limit is defined and loop.index >= limit %}{% break %}{% endif %}, {% endfor %}{{ names.user if names else 'nobody' }}""",
    "string methods": r"""{% for m in messages if m.content is string %}{{ m.content.strip().split('\n')|length }} {{ m.content.split()|first|default('-') }} {{ m.content.title() }} {{ m.content.find('a') }} {{ m.content.replace('a', 'A', 1) }} {{ m.content.count('a') }} {{ m.content.partition(' ')[0] }} {{ m.content.splitlines() }} {{ m.content[::-1] }} {{ m.content[1:4] }} {{ m.content|wordcount }}{{ '\n' }}{% endfor %}""",
    "block assignments": r"""{% for m in messages %}{% set head %}  [{{ m.role }}#{{ loop.index }}]
{% endset %}{% set body | trim | upper %}
   {{ m.content }}
{% endset %}{{ head|trim }}{{ body }}{{ body|length }}
{% endfor %}""",
    "filter blocks": r"""{% filter indent(4, true) %}{% for m in messages %}{{ m.role }}:
{{ m.content }}

{% endfor %}{% endfilter %}{% filter replace('a', '4')|trim %} {{ messages[-1].role }} {% endfilter %}""",
    "dictionaries in order": r"""{% for m in messages %}{{ m|tojson }}
{{ m|dictsort(by='key', reverse=true)|map('first')|join(',') }} {{ m.keys()|list }}
{% for k, v in m.items() if v %}{{ k }}={{ v|string|truncate(12) }} {% endfor %}
{% endfor %}""",
    "numbers": r"""{% set ns = namespace(sum=0, longest=0) %}{% for m in messages %}{% set ns.sum = ns.sum + m.content|string|length %}{% set ns.longest = [ns.longest, m.content|string|length]|max %}{% endfor %}{{ ns.sum }} {{ ns.longest }} {{ ns.sum / messages|length }} {{ (ns.sum / 7)|round(2) }} {{ ns.sum // 7 }} {{ ns.sum % 7 }} {{ '%03d %5.1f' % (ns.sum, ns.sum) }} {{ "{:>6} {:.3f}".format(ns.sum, ns.longest) }} {{ ns.sum > 10 and ns.longest is even }}""",
    "groups": r"""{% for role, turns in messages|groupby('role') %}{{ role }}: {{ turns|map(attribute='content')|map('string')|join(' / ') }}
{% endfor %}{% for pair in messages|batch(2, '-') %}{{ pair|map(attribute='role', default='?')|list }}{% endfor %}{% for part in messages|slice(2) %}{{ part|length }}{% endfor %}""",
    "recursive schema": r"""{% for tool in tools or [] %}{% for key, value in tool.function.parameters|items recursive %}{{ '  ' * loop.depth0 }}{{ key }}{% if value is mapping %}:
{{ loop(value|items) }}{% else %} = {{ value|tojson }}
{% endif %}{% endfor %}{% endfor %}{{ messages|length }}""",
    "nested macros": r"""{% macro header(role) %}{{ '<|start|>' ~ role ~ '<|sep|>' }}{% endmacro %}{% macro turn(m, last=false) %}{{ header(m.role) }}{{ body(m) }}{{ '<|end|>' if not last else '<|return|>' }}{% endmacro %}{% macro body(m) %}{% if m.thinking %}{{ '(' ~ m.thinking ~ ')' }}{% endif %}{{ m.content }}{% endmacro %}{% for m in messages %}{{ turn(m, last=loop.last and not add_generation_prompt) }}{% endfor %}{{ header('assistant') if add_generation_prompt }}{{ reasoning_effort|default('medium') }}""",
    "several exceptions": r"""{% if messages|length == 0 %}{{ raise_exception('nothing') }}{% endif %}{% for m in messages %}{% if m.role not in ['system', 'user', 'assistant', 'tool'] %}{{ raise_exception("Invalid role '" + m.role + "' at index " + loop.index0|string + '!') }}{% endif %}{% if m.role == 'tool' and (m.tool_call_id is undefined or m.tool_call_id|length != 9) %}{{ raise_exception("an id has nine letters, not '" ~ m.tool_call_id ~ "'") }}{% endif %}{{ m.role }},{% endfor %}""",
    "tool calls joined as text": r"""{% for m in messages %}{% if m.tool_calls %}[TOOL_CALLS] [{% for c in m.tool_calls %}{{ c.function|tojson }}{{ ', "id": "' + c.id + '"' }}{% if not loop.last %}, {% endif %}{% endfor %}]{{ eos_token }}{% elif m.role == 'tool' %}[TOOL_RESULTS]{"content": {{ m.content|string }}, "call_id": "{{ m.tool_call_id }}"}[/TOOL_RESULTS]{% else %}{{ m.content }}{% endif %}{% endfor %}""",
    "white space control": """{# a comment #}
  {%- for m in messages +%}
    {{ m.role }}  
    {%+ if m.content -%}
      yes
    {%- else +%}
      no
    {%+ endif -%}
  {%- endfor %}

  {#- another -#}

{{- 'x' -}}
    
""",
    "carriage returns": "{% for m in messages %}\r\n  {{ m.role }}\r\n{% endfor %}\r\n{{ 'a\r\nb'|length }}\r\n",
    "literal line feeds": """{{ 'first
second' }}{% for m in messages %}{{ '<' + m.role + '>
' }}{% endfor %}""",
    "raw braces": r"""{% raw %}{{ user }}: {%- x -%}{% endraw %}{% for m in messages %}{{ '{{' ~ m.role ~ '}}' }}{{ {'a': {'b': loop.index}}['a']['b'] }}{% endfor %}""",
    "conditions": r"""{% for m in messages %}{{ 'S' if m.role == 'system' else 'U' if m.role == 'user' else 'A' if m.role is eq('assistant') else '?' }}{{ (m.content is defined) ~ (m.content is none) ~ (m.name is defined and m.name != none) ~ (not m.tool_calls) ~ (m.role is in ['user', 'tool']) }}{% if loop.first and not loop.last %}>{% elif loop.last %}.{% else %},{% endif %}{% endfor %}{{ messages[-1].role != 'assistant' and add_generation_prompt is true }}""",
    "scopes": r"""{% set x = 'outer' %}{% for m in messages %}{% set x = x ~ loop.index %}{% if loop.first %}{% set y = x %}{% endif %}{{ x }}{{ y }};{% endfor %}{{ x }}{{ y is defined }}{% with x = 1, z = x %}{{ x }}{{ z }}{% endwith %}{% macro m(x=x) %}{{ x }}{% endmacro %}{{ m() }}{{ m(2) }}{% set a, b = messages[0].role, messages[-1]['role'] %}{{ a ~ b }}""",
    "undefined members": r"""{% for m in messages %}{{ m.foo }}{{ m['foo'] }}{{ m.foo|default('d') }}{{ m.get('foo', 'g') }}{{ m.foo is defined }}{{ m.get('name') or 'anonymous' }}{% if m.foo and m.foo.bar %}never{% endif %}{{ m.content[99:]|default('e', true) if m.content is string }} {% endfor %}""",
    "joined parts": r"""{% for m in messages %}{{ m.role }}: {% if m.content is string %}{{ m.content }}{% else %}{{ (m.content or [])|selectattr('type', '==', 'text')|map(attribute='text')|join(' ')|trim }}{{ (m.content or [])|rejectattr('text', 'defined')|list|length }}{% endif %}
{% endfor %}""",
    "an argument list": r"""{% macro show() %}{{ varargs|join('-') }}{% for k, v in kwargs|dictsort %} {{ k }}:{{ v }}{% endfor %}{% endmacro %}{% for m in messages %}{{ show(m.role, loop.index, last=loop.last, first=loop.first) }}{{ show(*m.role, **{'n': 1}) }}
{% endfor %}""",
}
