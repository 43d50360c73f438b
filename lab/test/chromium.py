"""A headless Chromium, driven by the DevTools protocol over a pipe: real clicks, keys and screens."""

import base64, json, os, subprocess, tempfile, time

DEADLINE = 60  # seconds, for an answer on the slowest machine


class Left(Exception):
    """The page has been left for another one while it was asked."""


class Chromium:
    """One browser with one page. `said` has what the console got, `loaded` every address that was asked for."""

    def __init__(self):
        self.home = tempfile.TemporaryDirectory()
        down, self.write = os.pipe()
        self.read, up = os.pipe()

        def pipes():
            # the browser reads commands from 3 and writes answers to 4
            first, second = os.dup(down), os.dup(up)
            os.dup2(first, 3), os.dup2(second, 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", f"--user-data-dir={self.home.name}", "about:blank"],
            preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"HOME": self.home.name})
        os.close(down), os.close(up)
        os.set_blocking(self.read, False)
        self.number, self.buffer, self.session = 0, b"", None
        self.said, self.loaded = [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Log", "Network":
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(DEADLINE)
        os.close(self.read), os.close(self.write)
        self.home.cleanup()

    def message(self, end):
        while b"\0" not in self.buffer:
            if time.monotonic() > end:
                raise TimeoutError("chromium does not answer")
            try:
                part = os.read(self.read, 1 << 20)
            except BlockingIOError:
                time.sleep(0.002)
                continue
            if not part:
                raise EOFError("chromium has ended")
            self.buffer += part
        one, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(one)

    def call(self, method, **parameters):
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.write, json.dumps(command).encode() + b"\0")
        end = time.monotonic() + DEADLINE
        while True:
            message = self.message(end)
            if message.get("id") == self.number:
                why = message.get("error", {}).get("message", "")
                if any(it in why for it in ("navigated", "context was destroyed", "Cannot find context")):
                    raise Left(method)
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.event(message.get("method"), message.get("params"))

    def event(self, method, about):
        if method == "Runtime.consoleAPICalled":
            self.said.append(" ".join(str(it.get("value", it.get("description"))) for it in about["args"]))
        elif method == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.said.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded":
            self.said.append(about["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.loaded.append(about["request"]["url"])

    def screen(self, width, height, dark=False, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.frame()  # the page hears of its new size with a frame, and draws itself anew with the next
        self.frame()

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression):
        """What an expression gives in the page; a promise is waited for."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']['exception'].get('description')}")
        return result["result"].get("value")

    def wait(self, expression):
        end = time.monotonic() + DEADLINE
        while not self.holds(expression):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {expression}")
            time.sleep(0.01)

    def holds(self, expression):
        """Whether it is true in the page, which may be another one by now."""
        try:
            return self.value(expression)
        except Left:
            return False

    def frame(self):
        """Waits until what has been asked for is drawn; a page that a click has left draws nothing more."""
        self.holds("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def click(self, selector):
        x, y = self.value(f"(box => [box.x + box.width / 2, box.y + box.height / 2])(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")
        self.press(x, y)

    def press(self, x, y):
        for kind in "mouseMoved", "mousePressed", "mouseReleased":
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="none" if kind == "mouseMoved" else "left", clickCount=1)
        self.frame()

    def key(self, name):
        codes = {"Enter": 13, "Escape": 27, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        code = codes.get(name, ord(name[0]) if name not in codes else 0)
        text = {"text": name} if len(name) == 1 else {"text": "\r"} if name == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, windowsVirtualKeyCode=code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, windowsVirtualKeyCode=code)
        self.frame()

    def type(self, text):
        self.call("Input.insertText", text=text)
        self.frame()

    def picture(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
