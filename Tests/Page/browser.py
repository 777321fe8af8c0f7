"""A headless Chromium behind chromedriver: the few calls of WebDriver (https://www.w3.org/TR/webdriver2/) that checks need."""
import base64
import json
import subprocess
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004", "Control": "\ue009", "Shift": "\ue008",
        "Left": "\ue012", "Right": "\ue014", "Up": "\ue013", "Down": "\ue015", "Space": " "}
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
             "--force-color-profile=srgb", "--lang=en-US", "--window-size=1200,760"]
# What a page may not do is written down before its own script runs.
WATCH = """window.violations = [];
document.addEventListener("securitypolicyviolation", e => violations.push(e.violatedDirective + " " + e.blockedURI));"""


class Browser:
    def __init__(self):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        port = next((line.split()[-1].strip(".") for line in self.driver.stdout if "successfully on port" in line), None)
        if port is None:
            raise RuntimeError("chromedriver does not start")
        self.root = f"http://127.0.0.1:{port}/session"
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": ARGUMENTS},
                  "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.call("POST", "", capabilities={"alwaysMatch": wanted})
        self.root += f"/{session['sessionId']}"
        self.protocol("Page.addScriptToEvaluateOnNewDocument", source=WATCH)

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()

    def call(self, method, path, **body):
        request = urllib.request.Request(
            self.root + path, method=method, headers={"Content-Type": "application/json"},
            data=json.dumps(body).encode() if method == "POST" else None)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"].split("\n")[0]) from None

    def protocol(self, command, **parameters):
        """A command of the DevTools protocol."""
        return self.call("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def open(self, url):
        self.call("POST", "/url", url=url)

    def run(self, script, *arguments):
        """The value of a JavaScript expression; its elements come back as such."""
        return self.call("POST", "/execute/sync", script=f"return {script}", args=list(arguments))

    def wait(self, script, *arguments, seconds=20):
        """Waits until the expression is true, and returns its value."""
        end = time.monotonic() + seconds
        while not (value := self.run(script, *arguments)):
            assert time.monotonic() < end, f"in vain for {seconds} s: {script} {arguments}\n{self.text('body')}"
            time.sleep(0.03)
        return value

    def find(self, selector):
        return self.call("POST", "/element", using="css selector", value=selector)[ELEMENT]

    def click(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click")

    def type(self, selector, text):
        """Replaces what stands in a field."""
        element = self.find(selector)
        self.call("POST", f"/element/{element}/clear")
        self.call("POST", f"/element/{element}/value", text=text)

    def text(self, selector):
        return self.run("document.querySelector(arguments[0]).innerText", selector)

    def label(self, element):
        """The accessible name."""
        return self.call("GET", f"/element/{element[ELEMENT]}/computedlabel")

    def press(self, *keys):
        """Keys together: all but the last are held."""
        keys = [KEYS.get(key, key) for key in keys]
        actions = [{"type": "keyDown", "value": key} for key in keys]
        actions += [{"type": "keyUp", "value": key} for key in reversed(keys)]
        self.call("POST", "/actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def keys(self, text):
        """Types to whatever has the focus."""
        for character in text:
            self.press(character)

    def active(self):
        return self.run("document.activeElement")

    def prefer(self, scheme):
        self.protocol("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def size(self, width, height, mobile=False):
        self.protocol(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def complaints(self):
        """What the console and the security policy said since the last call."""
        log = self.call("POST", "/se/log", type="browser")
        return [line["message"] for line in log if line["level"] in ("SEVERE", "WARNING")] + self.run("window.violations")

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))
