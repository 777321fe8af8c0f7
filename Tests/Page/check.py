"""Drives the page in a real browser:  python3 Tests/Page/check.py [--serve PROGRAM] [--screenshots FOLDER] [unittest's…]

Behind it is a server of made-up answers, or with --serve that program and the bundled model, which leaves out what only
a slow, failing or hostile server shows.
"""
import argparse
import functools
import json
import os
import re
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
from browser import Browser
from mock import HOSTILE, MockServer
from servers import DoraServer, call, chat, complete

options = argparse.ArgumentParser()
options.add_argument("--serve")
options.add_argument("--screenshots")
OPTIONS, REST = options.parse_known_args()
HEADLINE = "News from Lima: the board of Marawick Mining is ordered to pay $32 million in damages by a jury"
PROMPT = ("Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}.\n"
          f"Input: {HEADLINE}\nAnswer: ")
FIGURES = r"\d+ tokens? · [\d.,]+ tokens/s · \d+\.\d\d s · prompt \d+( \(\d+ cached\))? · (stop|cut off at max tokens)"
# The least contrast of a text and what lies behind it, over all that is shown (WCAG 2.2, 1.4.3: 4.5).
CONTRAST = """(() => {
  const numbers = color => color.match(/[\\d.]+/g).map(Number);
  const light = color => numbers(color).slice(0, 3).map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => (numbers(getComputedStyle(e).backgroundColor)[3] ?? 1) === 1
    ? getComputedStyle(e).backgroundColor : behind(e.parentElement);
  const texts = [...document.body.querySelectorAll("*")].filter(e => e.checkVisibility() && !e.matches(":disabled")
    && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
  return Math.min(...texts.map(e => {
    const a = light(getComputedStyle(e).color), b = light(behind(e));
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }));
})()"""


def start(token=None):
    return DoraServer(OPTIONS.serve, token) if OPTIONS.serve else MockServer(token)


mocked = functools.partial(unittest.skipIf, OPTIONS.serve, "needs made-up answers")()


class PageCheck(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup((server := start()).close)
        cls.addClassCleanup((browser := Browser()).close)
        cls.server, cls.browser = server, browser
        # A browser may read the clipboard only if it is told so.
        browser.protocol("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])

    def setUp(self):
        self.refusals = ()  # the statuses that the test provokes; the console tells of them
        self.browser.size(1200, 700)
        self.browser.prefer("light")
        self.show(self.server)

    def tearDown(self):
        said = [line for line in self.browser.complaints()
                if not any(f"the server responded with a status of {status}" in line for status in self.refusals)]
        self.assertEqual(said, [])

    def show(self, server):
        self.browser.open(server.url)
        self.browser.wait("document.querySelector('#status').textContent !== 'Connecting…'")

    def choose(self, name, value):
        self.browser.click(f"input[name={name}][value={value}] + span")

    def pick(self, adapter, column=0):
        self.browser.run(f"(s => {{ s.value = arguments[0]; s.dispatchEvent(new Event('change')) }})"
                         f"(document.querySelectorAll('select')[{column}])", adapter)

    def submit(self, text):
        """Types and sends."""
        self.browser.type("#prompt", text)
        self.browser.press("Control", "Enter")

    def settle(self):
        self.browser.wait("document.querySelector('#stop').disabled && !document.querySelector('[aria-busy]')")

    def send(self, text):
        self.submit(text)
        self.settle()

    def turns(self, part, column=0):
        """The texts of one part of all turns, to the character."""
        return self.browser.run(f"[...document.querySelectorAll('.column')[{column}].querySelectorAll('.{part}')]"
                                ".map(e => e.textContent)")

    def sheet(self, button, column=0):
        """What a button of a column shows."""
        self.browser.run(f"document.querySelectorAll('.{button}')[{column}].click()")
        self.browser.wait("document.querySelector('#sheet').open")
        text = self.browser.run("document.querySelector('#sheet-text').textContent")
        self.note = self.browser.text("#sheet-note")
        self.browser.press("Escape")
        self.browser.wait("!document.querySelector('#sheet').open")
        return text

    def screenshot(self, name):
        if OPTIONS.screenshots:
            os.makedirs(OPTIONS.screenshots, exist_ok=True)
            self.browser.screenshot(f"{OPTIONS.screenshots}/{name}.png")

    # ---- Models

    def labels(self):
        notes = ((model, ["" if model["parent"] else "base model", model.get("state") or ""])
                 for model in call(self.server, "/v1/models")["data"])
        return [model["id"] + (f" ({', '.join(filter(None, words))})" if any(words) else "") for model, words in notes]

    def test_models_are_listed_with_their_state(self):
        shown = "[...document.querySelector('select').options].map(option => option.text)"
        self.assertEqual(self.browser.run(shown), self.labels())
        self.assertIn("2 adapters", self.browser.text("#status"))
        self.assertEqual(self.browser.run("[...document.querySelectorAll('select')].map(s => s.value)"),
                         ["sentiment", "topic"])
        self.pick("topic")
        self.send(PROMPT)
        self.browser.wait(f"{shown}.join() === arguments[0]", ",".join(self.labels()))
        self.assertEqual(self.browser.run("document.querySelector('select').value"), "topic")

    # ---- Answers

    def test_a_conversation_goes_on(self):
        self.send(PROMPT)
        first = chat(self.server, "sentiment", PROMPT)
        self.assertEqual(self.turns("answer"), [first])
        self.assertEqual(self.browser.run("document.querySelector('#prompt').value"), "")
        self.send("And now?")
        self.assertEqual(self.turns("asked"), [PROMPT, "And now?"])
        self.assertEqual(self.turns("answer"), [first, chat(self.server, "sentiment", PROMPT, first, "And now?")])
        for figures in self.turns("figures"):
            self.assertRegex(figures, f"^{FIGURES}$")
        self.browser.click("#clear")
        self.assertEqual(self.turns("answer"), [])
        self.send(PROMPT)
        self.assertEqual(self.turns("answer"), [first])

    @mocked
    def test_an_answer_streams_in(self):
        self.browser.type("#limit", "30")
        self.submit("slowly")
        lengths = set()
        while self.browser.run("!document.querySelector('#stop').disabled"):
            lengths.add(len(self.turns("answer")[0]))
        self.assertGreater(len(lengths), 5)
        self.assertEqual(self.turns("answer"), ["slowly " * 29 + "slowly"])
        self.assertIn("cut off at max tokens", self.turns("figures")[0])

    def test_without_a_stream_the_answer_is_the_same(self):
        self.browser.click("#stream")
        self.send(PROMPT)
        self.assertEqual(self.turns("answer"), [chat(self.server, "sentiment", PROMPT)])
        self.assertRegex(self.turns("figures")[0], f"^{FIGURES}$")

    def test_two_adapters_answer_side_by_side(self):
        self.choose("view", "two")
        self.send(PROMPT)
        answers = [chat(self.server, adapter, PROMPT) for adapter in ("sentiment", "topic")]
        self.assertNotEqual(*answers)
        self.assertEqual([self.turns("answer", 0), self.turns("answer", 1)], [[answer] for answer in answers])
        self.send("And now?")
        for column, adapter in enumerate(("sentiment", "topic")):
            second = chat(self.server, adapter, PROMPT, answers[column], "And now?")
            self.assertEqual(self.turns("answer", column), [answers[column], second])

    def test_raw_text_is_sent_as_it_is(self):
        self.choose("mode", "raw")
        self.choose("view", "two")
        self.send(PROMPT)
        for column, adapter in enumerate(("sentiment", "topic")):
            self.assertEqual(self.turns("answer", column), [complete(self.server, adapter, PROMPT)])
        self.assertEqual(self.browser.run("document.querySelector('#prompt').value"), PROMPT)
        self.screenshot("side-by-side")
        self.pick("base")
        self.browser.press("Control", "Enter")
        self.settle()
        self.assertEqual(self.turns("answer")[1], complete(self.server, "base", PROMPT))
        self.browser.prefer("dark")
        self.screenshot("side-by-side-dark")

    def test_max_tokens_bounds_the_answer(self):
        self.browser.type("#limit", "1")
        self.send(PROMPT)
        self.assertEqual(self.turns("answer"), [chat(self.server, "sentiment", PROMPT, max_tokens=1)])
        self.browser.type("#limit", "0")
        self.submit(PROMPT)
        time.sleep(0.3)
        self.assertEqual(len(self.turns("answer")), 1)
        self.assertFalse(self.browser.run("document.querySelector('#limit').validity.valid"))

    # ---- Stopping

    @mocked
    def test_stop_ends_the_request(self):
        for act in (lambda: self.browser.press("Escape"), lambda: self.browser.click("#stop")):
            before = self.server.disconnects
            self.submit("slowly")
            self.browser.wait("document.querySelector('.turn:last-child .answer').textContent.length > 20")
            act()
            self.settle()
            self.assertEqual((self.turns("figures")[-1], self.turns("problem")[-1]), ("stopped", ""))
            self.wait_for_disconnect(before)
        # What was said until then belongs to the conversation.
        self.send("go on")
        self.assertIn("read 5 messages", self.turns("answer")[-1])

    def wait_for_disconnect(self, before):
        end = time.monotonic() + 5
        while self.server.disconnects == before:
            self.assertLess(time.monotonic(), end, "the server goes on")
            time.sleep(0.02)

    @mocked
    def test_stop_ends_a_request_without_a_stream(self):
        self.browser.click("#stream")
        before = self.server.disconnects
        self.submit("slowly")
        self.browser.press("Escape")
        self.settle()
        self.wait_for_disconnect(before)
        self.assertEqual(self.turns("figures"), ["stopped"])
        self.assertEqual(self.browser.run("document.querySelector('#prompt').value"), "slowly")

    # ---- Errors

    @mocked
    def test_errors_are_shown_as_the_server_says_them(self):
        self.refusals = (429, 400)
        for text, told in [("busy", "429 busy All places are taken. Try again in 3 s."),
                           ("crash", "internal The engine stopped."), ("break", "incomplete The stream broke off."),
                           ("untemplated", "400 no_chat_template This model has no chat template; "
                                           "/v1/completions works.")]:
            self.send(text)
            self.assertEqual(self.turns("problem")[-1], told)
            self.assertEqual(self.browser.run("document.querySelector('#prompt').value"), text)
        self.assertEqual(self.turns("figures")[-1], "Raw text works without one.")
        self.screenshot("errors")
        # Without a template the prompt is raw text: sending it again works.
        self.browser.press("Control", "Enter")
        self.settle()
        self.assertIn("read 1 messages", self.turns("answer")[-1])
        # What failed is no part of the conversation.
        self.choose("mode", "chat")
        self.send("hello")
        self.assertIn("read 1 messages", self.turns("answer")[-1])

    @mocked
    def test_a_server_that_is_gone_is_said_to_be(self):
        server = MockServer()
        self.show(server)
        server.close()
        self.send("hello")
        self.assertIn("The server cannot be reached.", self.turns("problem")[0])
        self.browser.wait("document.querySelector('#status').textContent === 'The server cannot be reached.'")
        self.assertTrue(all("ERR_CONNECTION" in line for line in self.browser.complaints()))

    @mocked
    def test_the_words_of_a_model_stay_text(self):
        for mode in ("chat", "raw"):
            self.choose("mode", mode)
            self.send("hostile " + HOSTILE)
            self.assertEqual(self.turns("answer")[-1], HOSTILE)
            self.assertEqual(self.turns("asked")[-1], "hostile " + HOSTILE)
        self.assertIn(HOSTILE, self.sheet("rendered") + self.sheet("curl"))
        self.assertEqual(self.browser.run("document.querySelectorAll('main :is(img, script, style)').length"), 0)
        self.assertEqual(self.browser.run("document.title"), "dora")

    # ---- Prompt and command

    def test_the_rendered_prompt_is_shown(self):
        self.assertEqual(self.sheet("rendered"), "")
        self.assertEqual(self.note, "Write a message first.")
        self.browser.type("#system", "Be brief.")
        self.browser.type("#prompt", "it's <b>")
        body = {"model": "sentiment", "messages": [{"role": "system", "content": "Be brief."},
                                                   {"role": "user", "content": "it's <b>"}]}
        self.assertEqual(self.sheet("rendered"), call(self.server, "/apply-template", body)["prompt"])
        self.send("it's <b>")
        self.assertEqual(self.sheet("rendered"), call(self.server, "/apply-template", body)["prompt"])
        self.choose("mode", "raw")
        self.browser.type("#prompt", PROMPT)
        self.assertEqual(self.sheet("rendered"), PROMPT)

    def execute(self, command, token=None):
        """The text that a copied command's answer holds."""
        environment = os.environ | ({"DORA_TOKEN": token} if token else {})
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, env=environment)
        self.assertEqual(done.stderr, "")
        pieces = re.findall(r'"(?:content|text)": ?("(?:[^"\\]|\\.)*")', done.stdout)
        return "".join(map(json.loads, pieces))

    def test_the_copied_command_gives_the_same_answer(self):
        for mode, streams in [("chat", True), ("raw", True), ("raw", False), ("chat", False)]:
            self.choose("mode", mode)
            if self.browser.run("document.querySelector('#stream').checked") != streams:
                self.browser.click("#stream")
            self.browser.click("#clear")
            self.browser.type("#prompt", f"It's \"quoted\" \\ $HOME `x`, Grüße.\n{PROMPT}")
            command = self.sheet("curl")
            self.assertEqual(self.note, "Copied.")
            self.assertEqual(self.browser.run("navigator.clipboard.readText()"), command)
            self.browser.press("Control", "Enter")
            self.settle()
            self.assertEqual(self.execute(command), self.turns("answer")[-1])
            self.assertNotIn("DORA_TOKEN", command)

    # ---- The token

    def test_the_token_is_asked_for_and_forgotten(self):
        self.refusals = (401,)
        self.addCleanup((server := start("open sesame")).close)
        self.show(server)
        self.browser.wait("document.activeElement.id === 'token'")
        self.assertEqual(self.browser.run("document.querySelectorAll('option').length"), 0)
        self.browser.keys("open sesame")
        self.browser.press("Enter")
        self.browser.wait("document.querySelectorAll('option').length === 6")
        self.browser.type("#prompt", PROMPT)
        command = self.sheet("curl")
        self.assertNotIn("sesame", command)
        self.send(PROMPT)
        self.assertEqual(self.turns("answer"), [chat(server, "sentiment", PROMPT)])
        self.assertEqual(self.execute(command, "open sesame"), self.turns("answer")[0])
        self.assertEqual(self.browser.run("localStorage.length + sessionStorage.length + document.cookie.length"), 0)
        self.show(server)
        self.assertEqual(self.browser.run("document.querySelector('#token').value"), "")

    # ---- Looks and hands

    def test_colours_follow_the_system_or_the_switch(self):
        self.choose("view", "two")
        self.send(PROMPT)
        shown = "getComputedStyle(document.body).backgroundColor"
        colours = {}
        for scheme in ("light", "dark"):
            self.browser.prefer(scheme)
            colours[scheme] = self.browser.run(shown)
            self.assertGreaterEqual(self.browser.run(CONTRAST), 4.5, scheme)
        self.assertNotEqual(*colours.values())
        for theme in ("light", "dark"):
            for scheme in ("light", "dark"):
                self.browser.prefer(scheme)
                self.choose("theme", theme)
                self.assertEqual(self.browser.run(shown), colours[theme])

    def test_everything_is_reached_by_the_keyboard(self):
        self.assertEqual(self.focus(), "Prompt")
        ring = "(e => getComputedStyle(e.type === 'radio' ? e.nextElementSibling : e).outlineStyle)"
        order = []
        while (name := self.tab()) != "Prompt":
            order.append(name)
            if name:
                self.assertNotEqual(self.browser.run(f"{ring}(document.activeElement)"), "none", name)
        start = order.index("One adapter")
        self.assertEqual([name for name in order[start:] + order[:start] if name], [
            "One adapter", "Auto", "Settings", "Chat", "System text", "Max tokens", "Stream the answer", "Token",
            "Adapter", "Rendered prompt", "Copy as curl", "Answers A", "Clear", "Send"])
        # The whole way without a mouse: two adapters, raw text, an answer.
        self.tab_to("One adapter")
        self.browser.press("Right")
        self.tab_to("Chat")
        self.browser.press("Right")
        self.tab_to("Prompt")
        self.browser.keys("hello")
        self.tab_to("Send")
        self.browser.press("Enter")
        self.settle()
        for column, adapter in enumerate(("sentiment", "topic")):
            self.assertEqual(self.turns("answer", column), [complete(self.server, adapter, "hello")])

    def focus(self):
        """The name of what has the focus; none between the page's end and its beginning."""
        return "" if self.browser.run("document.activeElement === document.body") else \
            self.browser.label(self.browser.active())

    def tab(self):
        self.browser.press("Tab")
        return self.focus()

    def tab_to(self, name):
        self.assertTrue(any(self.tab() == name for _ in range(25)), f"the keyboard does not reach {name}")

    def test_a_phone_shows_all_of_it(self):
        self.browser.size(360, 740, mobile=True)
        self.show(self.server)
        self.choose("view", "two")
        self.send("unbroken" * 40 + "\n" + PROMPT)
        fits = ("document.documentElement.scrollWidth <= 360 && [...document.body.querySelectorAll('*')]"
                ".filter(e => e.checkVisibility({visibilityProperty: true}) && !e.closest('.choice input, .unseen'))"
                ".every(e => e.getBoundingClientRect().left >= 0 && e.getBoundingClientRect().right <= 360"
                " && (e.matches('fieldset *, select, .unseen') || e.scrollWidth <= Math.max(e.clientWidth, e.offsetWidth)))")
        seen = "(r => r.top >= 0 && r.bottom <= 740)(document.querySelector('#send').getBoundingClientRect())"
        self.assertTrue(self.browser.run(f"{fits} && {seen}"))
        self.screenshot("phone")
        self.browser.click("summary")
        self.assertTrue(self.browser.run(f"document.querySelector('#settings').open && {fits} && {seen}"))
        self.browser.run("document.querySelector('.curl').click()")
        self.browser.wait("document.querySelector('#sheet').open")
        self.assertTrue(self.browser.run(fits))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *REST])
