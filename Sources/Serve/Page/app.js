"use strict";

// The page of dora-serve: one prompt, one adapter or two, each with a conversation of its own.
// Text of models and errors reaches the document as text only, never as markup.

const element = id => document.getElementById(id);
const copyOf = id => element(id).content.firstElementChild.cloneNode(true);
const chosen = name => document.querySelector(`input[name=${name}]:checked`).value;

// ---- The server -----------------------------------------------------------------------------------------------------

class ServerError extends Error {
  constructor({ message, code, type }, status) {
    super(message || "The server gave no reason.");
    this.status = status;
    this.code = code || type;
  }

  get title() { return [this.status, this.code].filter(Boolean).join(" ") || "Error"; }
}

/** Fetches; a refusal is thrown as what the server said. */
async function call(path, body, signal) {
  const headers = {};
  const token = element("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", headers, body, signal, cache: "no-store" });
  } catch (error) {
    throw lost(error);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** What the browser says of a lost connection names neither its end nor its reason. */
function lost(error) {
  return error instanceof TypeError
    ? new ServerError({ message: "The server cannot be reached.", code: "no connection" }) : error;
}

async function refusal(response) {
  const text = await response.text();
  let problem;
  try { problem = JSON.parse(text).error; } catch { /* not JSON: a proxy's page, say */ }
  if (!problem?.message) problem = { message: text.slice(0, 300) || response.statusText };
  const wait = response.headers.get("Retry-After");
  if (wait) problem.message += ` Try again in ${wait} s.`;
  return new ServerError(problem, response.status);
}

/** The `data:` lines of an event stream up to `[DONE]`; comments are skipped. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", isDone = false;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break; // not at [DONE]: the connection is kept if the body was read
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data:")) continue;
        const data = line.slice(5).trim();
        if (data === "[DONE]") isDone = true;
        else yield JSON.parse(data);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
  if (!isDone) throw new ServerError({ message: "The stream broke off.", code: "incomplete" });
}

/** Calls `part` with each object of the answer: the chunks of a stream, or the only one. */
async function receive({ path, body }, signal, part) {
  const response = await call(path, JSON.stringify(body), signal);
  if (!body.stream) return part(await response.json());
  for await (const chunk of events(response)) {
    if (chunk.error) throw new ServerError(chunk.error);
    part(chunk);
  }
}

// ---- Requests -------------------------------------------------------------------------------------------------------

function options() {
  const limit = element("limit").valueAsNumber;
  return {
    ...(limit > 0 && { max_tokens: limit }),
    ...(element("stream").checked && { stream: true, stream_options: { include_usage: true } }),
  };
}

function rawRequest(model, prompt) {
  return { path: "/v1/completions", body: { model, prompt, ...options() } };
}

function chatRequest(model, messages) {
  const system = element("system").value;
  const first = system.trim() ? [{ role: "system", content: system }] : [];
  return { path: "/v1/chat/completions", body: { model, messages: [...first, ...messages], ...options() } };
}

/** A request as a command. The token is not in it: the shell's variable is. */
function curl({ path, body }) {
  const quoted = text => `'${text.replaceAll("'", `'\\''`)}'`;
  const token = element("token").value.trim() ? [`-H "Authorization: Bearer $DORA_TOKEN"`] : [];
  return [
    `curl -sS${body.stream ? "N" : ""} ${quoted(location.origin + path)}`,
    ...token,
    "-H 'Content-Type: application/json'",
    `-d ${quoted(JSON.stringify(body))}`,
  ].join(" \\\n  ");
}

// ---- Answers --------------------------------------------------------------------------------------------------------

/** A question and its answer, as it comes in. */
class Turn {
  constructor(log, question) {
    this.log = log;
    this.article = copyOf("turn");
    this.part("asked").textContent = question;
    this.part("answer").append(this.text = new Text());
    this.part("figures").textContent = "…";
    this.article.setAttribute("aria-busy", "true");
    this.start = performance.now();
    log.append(this.article);
    log.scrollTop = log.scrollHeight;
  }

  part(name) { return this.article.querySelector(`.${name}`); }

  /** Takes a chunk of a stream or a whole answer. */
  take({ choices, usage, dora }) {
    const choice = choices?.[0];
    const isAtEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 40;
    this.text.appendData(choice?.delta?.content ?? choice?.message?.content ?? choice?.text ?? "");
    if (isAtEnd) this.log.scrollTop = this.log.scrollHeight;
    this.reason = choice?.finish_reason ?? this.reason;
    this.usage = usage ?? this.usage;
    this.timing = dora?.timing ?? this.timing;
  }

  fail(error) {
    if (error.name === "AbortError") return this.end("stopped");
    const problem = this.part("problem");
    const title = document.createElement("strong");
    title.textContent = error.title ?? error.name;
    problem.append(title, " ", error.message);
    problem.hidden = false;
    this.end(error.code === "no_chat_template" ? "Raw text works without one." : "");
  }

  end(note) {
    this.part("figures").textContent = note ?? this.figures();
    this.article.removeAttribute("aria-busy");
    this.article.classList.toggle("empty", !this.text.length);
    this.log.scrollTop = this.log.scrollHeight;
  }

  figures() {
    const seconds = (performance.now() - this.start) / 1000;
    const { prompt_tokens: prompt, completion_tokens: count, prompt_tokens_details: details } = this.usage ?? {};
    const reason = this.reason === "length" ? "cut off at max tokens" : this.reason;
    if (!count) return [`${seconds.toFixed(2)} s`, reason].filter(Boolean).join(" · ");
    const cached = details?.cached_tokens ? ` (${details.cached_tokens} cached)` : "";
    return [
      `${count} ${count === 1 ? "token" : "tokens"}`, `${this.rate(count, seconds)} tokens/s`, `${seconds.toFixed(2)} s`,
      `prompt ${prompt}${cached}`, reason,
    ].filter(Boolean).join(" · ");
  }

  /** Of decoding, if the server measured it: tokens after the first, which the prompt's pass makes. */
  rate(count, seconds) {
    const decode = this.timing?.decode;
    const rate = count > 1 && decode > 0 ? (count - 1) / decode : count / seconds;
    return rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString("en");
  }
}

/** An adapter and a conversation with it. */
class Column {
  constructor(name) {
    this.section = copyOf("column");
    this.section.setAttribute("aria-label", `Adapter ${name}`);
    this.log = this.section.querySelector(".turns");
    this.log.setAttribute("aria-label", `Answers ${name}`);
    this.select = this.section.querySelector("select");
    this.clear();
    this.on("rendered", () => this.showRendered());
    this.on("curl", () => this.showCurl());
    element("columns").append(this.section);
  }

  on(button, act) {
    this.section.querySelector(`.${button}`).addEventListener("click", act);
  }

  clear() {
    this.messages = [];
    this.last = undefined;
    this.log.replaceChildren();
  }

  /** What `text` would send; an empty one, what was sent last. */
  request(text) {
    if (!text.trim()) return this.last;
    if (chosen("mode") === "raw") return rawRequest(this.select.value, text);
    return chatRequest(this.select.value, [...this.messages, { role: "user", content: text }]);
  }

  /** Sends `text`; what was answered joins the conversation. Returns the error that left it as it was. */
  async ask(text, signal) {
    const request = this.last = this.request(text);
    const turn = new Turn(this.log, text);
    turn.article.classList.toggle("raw", !request.body.messages);
    let problem;
    try {
      await receive(request, signal, part => turn.take(part));
      turn.end();
    } catch (error) {
      turn.fail(problem = error);
    }
    const isAnswered = !problem || (turn.text.length && problem.name === "AbortError");
    if (!isAnswered) return problem;
    if (request.body.messages) {
      this.messages.push({ role: "user", content: text }, { role: "assistant", content: turn.text.data });
    }
  }

  async showRendered() {
    const request = this.request(element("prompt").value);
    const title = `The prompt that ${this.select.value} reads`;
    if (!request) return showSheet(title, "", "Write a message first.");
    if (!request.body.messages) return showSheet(title, request.body.prompt, "Raw text is read as it is.");
    try {
      const { model, messages } = request.body;
      const response = await call("/apply-template", JSON.stringify({ model, messages }));
      showSheet(title, (await response.json()).prompt, "");
    } catch (error) {
      showSheet(title, "", `${error.title ?? error.name}: ${error.message}`);
    }
  }

  showCurl() {
    const request = this.request(element("prompt").value);
    if (!request) return showSheet("As curl", "", "Write a message first.");
    showSheet("As curl", curl(request), "");
    copySheet();
  }
}

// ---- The page -------------------------------------------------------------------------------------------------------

const columns = [new Column("A"), new Column("B")];
const shown = () => columns.filter(column => !column.section.hidden);
let running;

async function send() {
  const prompt = element("prompt"), text = prompt.value, isRaw = chosen("mode") === "raw";
  if (running || !text.trim() || !areOptionsValid()) return;
  running = new AbortController();
  setBusy(true);
  element("columns").scrollIntoView(); // on a phone they may be elsewhere
  if (!isRaw) prompt.value = "";
  const problems = await Promise.all(shown().map(column => column.ask(text, running.signal)));
  running = undefined;
  setBusy(false);
  if (problems.every(Boolean)) giveBack(text, problems);
  loadModels();
}

function areOptionsValid() {
  const form = element("options");
  if (!form.checkValidity()) element("settings").open = true;
  return form.reportValidity();
}

/** After a failure everywhere nothing has to be typed again. */
function giveBack(text, problems) {
  if (!element("prompt").value) element("prompt").value = text;
  if (problems.some(problem => problem.status === 401)) askForToken();
  if (problems.every(problem => problem.code === "no_chat_template")) choose("mode", "raw");
}

function stop() {
  running?.abort();
}

function setBusy(isBusy) {
  if (!isBusy && document.activeElement === element("stop")) element("prompt").focus();
  element("send").disabled = element("clear").disabled = isBusy;
  element("stop").disabled = !isBusy;
}

function askForToken() {
  element("settings").open = true;
  element("token").focus();
}

async function loadModels() {
  try {
    const { data } = await (await call("/v1/models")).json();
    columns.forEach((column, index) => fill(column.select, data, index));
    const adapters = data.filter(model => model.parent).length;
    setStatus(`${data.find(model => !model.parent)?.id ?? ""} · ${adapters} ${adapters === 1 ? "adapter" : "adapters"}`);
  } catch (error) {
    setStatus(error.message, true);
    if (error.status === 401) askForToken();
    if (error.status === 503) setTimeout(loadModels, 2000); // it is still reading its weights
  }
}

function setStatus(text, isProblem = false) {
  element("status").textContent = text;
  element("status").classList.toggle("problem", isProblem);
}

/** The choice stays, if it is still there; at first each column has an adapter of its own. */
function fill(select, models, index) {
  const old = select.value, labels = models.map(label);
  if (labels.join() === Array.from(select.options, option => option.text).join()) return; // it may be open
  select.replaceChildren(...models.map((model, index) => new Option(labels[index], model.id)));
  const adapters = models.filter(model => model.parent);
  const first = adapters[index] ?? models[index] ?? models[0];
  select.value = models.some(model => model.id === old) ? old : first?.id;
}

function label({ id, parent, state }) {
  const notes = [parent ? "" : "base model", state].filter(Boolean).join(", ");
  return notes ? `${id} (${notes})` : id;
}

function showSheet(title, text, note) {
  element("sheet-title").textContent = title;
  element("sheet-text").textContent = text;
  element("sheet-text").hidden = element("copy").hidden = !text;
  element("sheet-note").textContent = note;
  element("sheet").showModal();
}

/** Without the clipboard (browsers keep it from http:// beyond this machine) the text is selected. */
async function copySheet() {
  const text = element("sheet-text");
  try {
    await navigator.clipboard.writeText(text.textContent);
    element("sheet-note").textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(text);
    element("sheet-note").textContent = "Selected: copy it with Ctrl C.";
  }
}

function choose(name, value) {
  document.querySelector(`input[name=${name}][value=${value}]`).checked = true;
  applyChoices();
}

function applyChoices() {
  const isRaw = chosen("mode") === "raw", isPair = chosen("view") === "two";
  columns[1].section.hidden = !isPair;
  document.body.classList.toggle("pair", isPair);
  document.documentElement.dataset.theme = chosen("theme");
  element("system").disabled = isRaw;
  element("prompt").classList.toggle("raw", isRaw);
  element("prompt").placeholder = isRaw ? "The text that the model goes on with" : "Message";
}

function onKey(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    send();
  } else if (event.key === "Escape" && !element("sheet").open) {
    stop();
  }
}

function start() {
  const onClick = (id, act) => element(id).addEventListener("click", act);
  onClick("send", send);
  onClick("stop", stop);
  onClick("clear", () => columns.forEach(column => column.clear()));
  onClick("copy", copySheet);
  onClick("close", () => element("sheet").close());
  element("options").addEventListener("submit", event => event.preventDefault());
  element("token").addEventListener("change", loadModels);
  document.addEventListener("change", event => { if (event.target.type === "radio") applyChoices(); });
  document.addEventListener("keydown", onKey);
  element("settings").open = matchMedia("(min-width: 50rem)").matches;
  applyChoices();
  loadModels();
  element("prompt").focus();
}

start();
