// The page works without this: it streams texts in, stops them, suggests known prompts, and takes opinions.

const base = new URL("..", import.meta.url);
const say = (column, words) => { column.querySelector(".phase").textContent = words; };

// --- texts, as they are written

async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const found = (rest + value).split("\n");
    rest = found.pop();
    for (const line of found) yield JSON.parse(line);
  }
}

function show(column, texts) {
  const list = column.querySelector("ol");
  while (list.children.length > texts.length) list.lastElementChild.remove();
  texts.forEach((text, place) => {
    const card = list.children[place] ?? list.appendChild(document.getElementById("card").content.cloneNode(true).firstElementChild);
    if (card.dataset.text === text.text && card.dataset.unfinished === String(Boolean(text.unfinished))) return;
    card.dataset.text = text.text;
    card.dataset.unfinished = String(Boolean(text.unfinished));
    card.classList.toggle("unfinished", Boolean(text.unfinished));
    card.querySelector("p").textContent = text.text;
    card.querySelector(".weight").textContent = text.weight === undefined ? "" : `${text.weight} of 280`;
  });
}

async function follow(column) {
  const { bot, id } = column.dataset;
  const stop = column.querySelector(".stop");
  const control = new AbortController();
  const where = (what) => new URL(`tweets/${id}/${what}?bot=${encodeURIComponent(bot)}`, base);
  stop.hidden = false;
  stop.onclick = () => {
    control.abort();
    fetch(where("stop"), { method: "POST" });
    say(column, "stopped");
  };
  try {
    const response = await fetch(where("stream"), { signal: control.signal });
    if (!response.ok) throw new Error((await response.json()).error);
    let frame = 0;
    for await (const told of lines(response)) {
      column.dataset.state = told.state;
      say(column, told.says);
      cancelAnimationFrame(frame);  // never slower than the model
      frame = requestAnimationFrame(() => { show(column, told.texts); if (told.state === "written") ask(column); });
    }
    if (column.dataset.state === "writing") say(column, "The connection broke off: reload the page to go on.");
  } catch (error) {
    if (error.name !== "AbortError") say(column, error.message || "The connection broke off: reload the page to go on.");
  } finally {
    stop.hidden = true;
  }
}

// --- opinions

function ask(column) {
  const { bot, id } = column.dataset;
  column.querySelectorAll(".card").forEach((card, place) => {
    const footer = card.querySelector("footer");
    if (footer.querySelector("button")) return;
    footer.append(document.getElementById("opinions").content.cloneNode(true));
    for (const button of footer.querySelectorAll("button")) {
      button.onclick = async () => {
        if (button.getAttribute("aria-pressed") === "true") return;
        const body = JSON.stringify({ bot, place, opinion: button.className });
        const headers = { "content-type": "application/json" };
        const noted = await fetch(new URL(`tweets/${id}/opinions`, base), { method: "POST", headers, body });
        if (!noted.ok) return;
        button.setAttribute("aria-pressed", "true");
        button.textContent = button.className === "like" ? "Liked" : "Reported";
      };
    }
  });
}

// --- known prompts: https://www.w3.org/WAI/ARIA/apg/patterns/combobox/

function suggest(input, list) {
  let at = -1, timer = 0, asked = "";
  const form = input.form;
  const close = () => {
    list.hidden = true;
    at = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const choose = (option) => { input.value = option.textContent; close(); form.requestSubmit(); };
  const mark = (place) => {
    const options = [...list.children];
    at = (place + options.length) % options.length;
    options.forEach((option, n) => option.setAttribute("aria-selected", String(n === at)));
    options[at].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options[at].id);
  };
  const look = async () => {
    const prefix = asked = input.value;
    const bot = form.querySelector("[name=bot]:checked, [name=bot][type=hidden]")?.value ?? document.body.dataset.bot ?? "";
    const query = new URLSearchParams({ prefix, ...(bot && { bot }) });
    const response = await fetch(new URL(`prompts?${query}`, base)).catch(() => null);
    if (!response?.ok || asked !== prefix || document.activeElement !== input) return;
    const { prompts } = await response.json();
    list.replaceChildren(...prompts.map((text, n) => {
      const option = document.createElement("li");
      Object.assign(option, { id: `known-${n}`, role: "option", textContent: text });
      option.setAttribute("aria-selected", "false");
      option.onpointerdown = (event) => { event.preventDefault(); choose(option); };
      return option;
    }));
    if (!prompts.length) return close();
    list.hidden = false;
    at = -1;
    input.setAttribute("aria-expanded", "true");
  };
  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id })) input.setAttribute(name, value);
  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, 120); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !list.hidden) { event.preventDefault(); close(); }
    if ((event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      if (list.hidden) look(); else mark(event.key === "ArrowDown" ? at + 1 : at < 0 ? -1 : at - 1);
    }
    if (event.key === "Enter" && !list.hidden && at >= 0) { event.preventDefault(); choose(list.children[at]); }
  });
}

suggest(document.getElementById("prompt"), document.getElementById("known"));
for (const column of document.querySelectorAll("section[data-bot]")) {
  if (column.dataset.state === "writing") follow(column);
  if (column.dataset.state === "written") ask(column);
}
if (document.body.classList.contains("embedded")) {
  const tell = () => parent.postMessage({ mynahHeight: document.documentElement.scrollHeight }, "*");
  new ResizeObserver(tell).observe(document.body);
}
