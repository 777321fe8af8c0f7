/// Templates and conversations of which something is wrong, and what is said of them.
extension ChatProblemTests {
    /// With a turn of a user; the problem behind the file's name.
    static let templates: [(String, String)] = [
        (
            "{{ raise_exception('no system role') }}",
            ", line 1: the template refuses the conversation: no system role"
        ),
        (
            "a\n{% for m in messages %}\n{% if m.role == 'user' %}{{ raise_exception('no ' + m.role + '!') }}{% endif %}{% endfor %}",
            ", line 3: the template refuses the conversation: no user!"
        ),
        (
            "{{ raise_exception('two\nlines \u{1B}[31m') }}",
            #", line 1: the template refuses the conversation: two\nlines \u{1B}[31m"#
        ),
        (
            "{{ raise_exception('') }}",
            ", line 1: the template refuses the conversation, and does not say why"
        ),
        (
            "{{ raise_exception() }}",
            #", line 1, in "raise_exception()": raise_exception() missing required argument: 'message'"#
        ),
        (
            "{% macro m() %}\n{{ raise_exception('inside') }}{% endmacro %}\n\n{{ m() }}",
            ", line 2: the template refuses the conversation: inside"
        ),
        (
            "\n{% for i in range(100000) %}\n{% for j in range(100000) %}x{% endfor %}{% endfor %}",
            #", line 3, in "range(100000)": the template takes more than 10000000 steps"#
        ),
        (
            "{% for i in range(1000000) %}{% endfor %}",
            #", line 1, in "range(1000000)": Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000)."#
        ),
        (
            "{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
            #", line 1, in "range(99999)": the template writes more than 16777216 bytes"#
        ),
        (
            "a\n{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            #", line 2, in "m()": macros call each other more than 100 deep"#
        ),
        (
            "{% set ns = namespace(s='x') %}\n{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
            #", line 2, in "ns.s + ns.s": a text is longer than 16777216 bytes"#
        ),
        (
            "{{ 'x' * 10000000000 }}",
            #", line 1, in "'x' * 10000000000": a text is longer than 16777216 bytes"#
        ),
        (
            "a\nb\n{% if messages %}\n\n",
            ", line 4: Unexpected end of template. Jinja was looking for the following tags: 'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if' of line 3."
        ),
        (
            "a\nb\n{% if messages %}{% for m in messages %}\n{% endif %}",
            ", line 4: Encountered unknown tag 'endif'. You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for 'endfor' or 'else'. The innermost block that needs to be closed is 'for' of line 3."
        ),
        (
            "{% for m in messages",
            ", line 1: unexpected end of template, expected 'end of statement block'."
        ),
        (
            "{% for m in messages %}",
            ", line 1: Unexpected end of template. Jinja was looking for the following tags: 'endfor' or 'else'. The innermost block that needs to be closed is 'for' of line 1."
        ),
        (
            "x\n{{ messages",
            ", line 2: unexpected end of template, expected 'end of print statement'."
        ),
        ("x\n{{ messages[0", ", line 2: unexpected end of template, expected ','."),
        ("x\n{{ 'abc", ", line 2: the string that begins here does not end"),
        (
            "x\n\n{{ messages[0]['role] }}\n\n",
            ", line 3: the string that begins here does not end"
        ),
        ("{# comment\n\n", ", line 1: Missing end of comment tag"),
        ("{% raw %}\nx", ", line 1: Missing end of raw directive"),
        ("{%", ", line 1: tag name expected"),
        ("{{ }}", ", line 1: Expected an expression, got 'end of print statement'"),
        ("{{ a b }}", ", line 1: expected token 'end of print statement', got 'b'"),
        ("{{ [1,2) }}", ", line 1: unexpected ')', expected ']'"),
        ("{{ a + }}", ", line 1: unexpected 'end of print statement'"),
        ("{{ a ? b : c }}", ", line 1: unexpected char '?'"),
        ("{{ a | }}", ", line 1: expected token 'name', got 'end of print statement'"),
        ("{{ a. }}", ", line 1: expected name or number"),
        ("{% endif %}", ", line 1: Encountered unknown tag 'endif'."),
        (
            "{% if 1 %}{% endfor %}",
            ", line 1: Encountered unknown tag 'endfor'. Jinja was looking for the following tags: 'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if' of line 1."
        ),
        ("{% do x %}", ", line 1: Encountered unknown tag 'do'."),
        (
            "{% include 'x' %}",
            #", line 1, in "include 'x'": a template that stands alone has no use for 'include'"#
        ),
        (
            "{% block a %}{% endblock %}",
            ", line 1: a template that stands alone has no use for 'block'"
        ),
        ("{% break %}", ", line 1: 'break' outside loop"),
        ("{% set %}", ", line 1: Expected an expression, got 'end of statement block'"),
        ("{% for x of y %}{% endfor %}", ", line 1: expected token 'in', got 'of'"),
        ("{{ missing.x }}", #", line 1, in "missing.x": 'missing' is undefined"#),
        (
            "{{ messages[0].foo.bar }}",
            #", line 1, in "messages[0].foo.bar": 'dict object' has no attribute 'foo'"#
        ),
        (
            "{{ messages[7].role }}",
            #", line 1, in "messages[7].role": list object has no element 7"#
        ),
        (
            "{{ messages[0]['content'] + 1 }}",
            #", line 1, in "messages[0]['content'] + 1": can only concatenate str (not "int") to str"#
        ),
        ("{{ messages|nosuch }}", ", line 1: No filter named 'nosuch'."),
        ("{{ messages is nosuch }}", ", line 1: No test named 'nosuch'."),
        ("{{ nosuch() }}", #", line 1, in "nosuch()": 'nosuch' is undefined"#),
        (
            "{{ messages.append(1) }}",
            #", line 1, in "messages.append(1)": access to attribute 'append' of 'list' object is unsafe."#
        ),
        (
            "{{ messages[0].content.nosuch() }}",
            #", line 1, in "messages[0].content.nosuch()": 'str object' has no attribute 'nosuch'"#
        ),
        ("{{ 1 // 0 }}", #", line 1, in "1 // 0": integer division or modulo by zero"#),
        (
            "{{ strftime_now(1) }}",
            #", line 1, in "strftime_now(1)": strftime() argument 1 must be str, not int"#
        ),
        (
            "{% set a, b = messages %}",
            #", line 1, in "messages": not enough values to unpack (expected 2, got 1)"#
        ),
        (
            "{{ tools|length }}",
            #", line 1, in "tools|length": object of type 'NoneType' has no len()"#
        ),
        (
            "{{ messages[0]\n  .foo\n  .bar }}",
            #", line 1, in "messages[0] .foo .bar": 'dict object' has no attribute 'foo'"#
        ),
        (
            "{{ 'a' | urlize }}",
            #", line 1, in "'a' | urlize": the filter 'urlize' is not supported"#
        ),
    ]

    static let conversations: [(String, String)] = [
        ("[]", #"standard input: "messages" must be an array of at least one message"#),
        ("[1]", #"standard input: "messages" must hold objects, and [0] is 1"#),
        (#"["hi"]"#, #"standard input: "messages" must hold objects, and [0] is "hi""#),
        ("[null]", #"standard input: "messages" must hold objects, and [0] is null"#),
        (#"{"messages":"hi"}"#, #"standard input: "messages" must be an array of at least one message"#),
        (#"{"messages":[]}"#, #"standard input: "messages" must be an array of at least one message"#),
        (
            #"[{"content":"x"}]"#, "chat_template.jinja: messages[0].role is missing and should be a string"
        ),
        (#"[{"role":1,"content":"x"}]"#, "chat_template.jinja: messages[0].role is 1 and should be a string"),
        (
            #"[{"role":null,"content":"x"}]"#,
            "chat_template.jinja: messages[0].role is null and should be a string"
        ),
        (
            #"[{"role":"user","content":5}]"#,
            "chat_template.jinja: messages[0].content is 5 and should be a string or an array of parts"
        ),
        (
            #"[{"role":"user","content":{}}]"#,
            "chat_template.jinja: messages[0].content is an object with 0 keys and should be a string or an array of parts"
        ),
        (
            #"[{"role":"user","content":[{"type":"image_url"}]}]"#,
            #"chat_template.jinja: messages[0].content[0] is of type "image_url": only text is supported"#
        ),
        (
            #"[{"role":"user","content":[{"type":"text"}]}]"#,
            "chat_template.jinja: messages[0].content[0].text is missing"
        ),
        (
            #"[{"role":"user","content":[null]}]"#,
            "chat_template.jinja: messages[0].content[0].text is missing"
        ),
        (
            #"[{"role":"a","tool_calls":{}}]"#,
            "chat_template.jinja: messages[0].tool_calls is an object with 0 keys and should be an array"
        ),
        (
            #"[{"role":"a","tool_calls":[1]}]"#,
            "chat_template.jinja: messages[0].tool_calls[0] is 1 and should be an object"
        ),
        (
            #"[{"role":"a","tool_calls":[{"function":{"arguments":"{bad"}}]}]"#,
            #"chat_template.jinja: messages[0].tool_calls[0].function.arguments: invalid JSON at byte 1: expected '"'"#
        ),
        (
            #"[{"role":"a","tool_calls":[{"function":{"arguments":7}}]}]"#,
            "chat_template.jinja: messages[0].tool_calls[0].function.arguments is 7 and should be an object"
        ),
        (
            #"[{"role":"a","tool_calls":[{"function":"f"}]}]"#,
            #"chat_template.jinja: messages[0].tool_calls[0].function is "f" and should be an object"#
        ),
        (
            #"{"messages":[{"role":"u","content":"a"}],"tools":{}}"#,
            #"standard input: "tools" must be an array"#
        ),
        (
            #"{"messages":[{"role":"u","content":"a"}],"tools":[1]}"#,
            #"standard input: "tools" must hold objects, and [0] is 1"#
        ),
        (
            #"{"messages":[{"role":"u","content":"a"}],"documents":["x"]}"#,
            #"standard input: "documents" must hold objects, and [0] is "x""#
        ),
        (
            #"{"messages":[{"role":"u","content":"a"}],"chat_template_kwargs":[]}"#,
            #"standard input: "chat_template_kwargs" must be an object"#
        ),
        (
            #"{"messages":[{"role":"u","content":"a"}],"add_generation_prompt":"yes"}"#,
            #"standard input: "add_generation_prompt" must be true or false"#
        ),
        (
            #"{"messages":[{"role":"u","content":"a"}],"continue_final_message":true,"add_generation_prompt":true}"#,
            #"standard input: "add_generation_prompt" and "continue_final_message" exclude each other"#
        ),
    ]

    static let misfits: [(String, String)] = [
        ("{}", #"standard input: "messages" must be an array of at least one message"#),
        (
            #"[{"role":"u","content":"a"}"#,
            "standard input: it begins as JSON and is none: invalid JSON at byte 27: expected ','"
        ),
        (
            #"[{"role":"u","content":"a"}]]"#,
            "standard input: it begins as JSON and is none: invalid JSON at byte 28: something follows the end of the document"
        ),
        (
            "[{'role':'u'}]",
            #"standard input: it begins as JSON and is none: invalid JSON at byte 2: expected '"'"#
        ),
        (
            #"{"role":"u","content":"a"}"#,
            "standard input: it is one message; put it into an array: [{…}]"
        ),
        (
            #"{"messages":[{"role":"u","content":"a"}],"temperature":0}"#,
            #"standard input: "temperature" is no field of a conversation"#
        ),
        (
            #"{"a\u001b[31m\nb":1,"messages":[]}"#,
            #"standard input: "a\u{1B}[31m\nb" is no field of a conversation"#
        ),
        (
            #"[{"role":"u","role":"x"}]"#,
            #"standard input: it begins as JSON and is none: invalid JSON at byte 20: the key "role" stands twice"#
        ),
        (
            #"[{"role":"u","content":"\ud800"}]"#,
            "standard input: it begins as JSON and is none: invalid JSON at byte 30: a surrogate stands alone"
        ),
    ]
}
