// Texts stream in as they are written, Stop ends them, and each can be liked, copied and reported.
// The page works without this.

const base = new URL("..", import.meta.url);
const BROKEN = "The connection broke off: press Again to go on.";
const { majority } = document.getElementById("texts").dataset;

const put = (node, words) => { if (node.textContent !== words) node.textContent = words; };

function say(column, words, seconds = "") {
  put(column.querySelector("[role=status]"), words);
  put(column.querySelector(".seconds"), seconds);
}

// What a refusal says, in words.
async function refusal(response) {
  const { error } = await response.json().catch(() => ({}));
  const after = Number(response.headers.get("retry-after"));
  return (error ?? `the server answered ${response.status}`) + (after ? ` (again in ${after} s)` : "");
}

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

// An answer as a column of cards; play.html draws the same.
function draw(column, told) {
  const measured = told.sentiment ?? {};
  const { texts } = told;
  for (const item of column.querySelectorAll(".legend li")) {
    put(item.querySelector("b"), String(texts.filter((text) => text.sentiment === item.dataset.sentiment).length));
  }
  column.querySelector(".legend").hidden = majority || !texts.some((text) => text.sentiment);
  const off = texts.length && measured.off;
  column.querySelector(".off").hidden = !off;
  put(column.querySelector(".off"), off || "");
  if (measured.language) column.querySelector("ol").lang = measured.language;
  column.dataset.state = told.state;
  if (told.state === "writing") {
    say(column, told.phase + (told.before ? `, ${told.before} before you` : ""), `${Math.round(told.seconds)} s`);
  } else {
    say(column, told.says);
  }
  show(column.querySelector("ol"), texts);
}

// Cards stay the same elements while they grow and change places.
function show(list, texts) {
  const spare = [...list.children];
  const take = (fits) => {
    const found = spare.findIndex(fits);
    return found < 0 ? undefined : spare.splice(found, 1)[0];
  };
  const said = (card) => card.firstElementChild.textContent;
  const cards = texts.map((text) =>
    take((card) => said(card) === text.text) ??
    take((card) => card.classList.contains("unfinished") && text.text.startsWith(said(card))) ??
    document.getElementById("card").content.cloneNode(true).firstElementChild);
  for (const card of spare) card.remove();
  cards.forEach((card, n) => {
    if (list.children[n] !== card) list.insertBefore(card, list.children[n] ?? null);
    fill(card, texts[n]);
  });
}

function fill(card, text) {
  put(card.firstElementChild, text.text);
  card.classList.toggle("unfinished", Boolean(text.unfinished));
  if (text.place !== undefined) card.dataset.place = text.place;
  const sentiment = card.querySelector(".sentiment"), weight = card.querySelector(".weight");
  sentiment.hidden = !text.sentiment;
  if (text.sentiment) {
    card.dataset.sentiment = text.sentiment;
    put(sentiment.querySelector("i"), document.querySelector(`.legend [data-sentiment="${text.sentiment}"] i`).textContent);
    put(sentiment.querySelector("span"), text.sentiment);
  }
  weight.hidden = text.weight === undefined;
  if (text.weight !== undefined) {
    put(weight.querySelector("span"), `${text.weight} of 280`);
    weight.querySelector("circle + circle").setAttribute("stroke-dasharray", `${text.weight} 280`);
  }
}

async function follow(column) {
  const { bot, id } = column.dataset;
  const stop = column.querySelector(".stop"), again = column.querySelector(".again");
  const control = new AbortController();
  const where = (what) => new URL(`tweets/${id}/${what}?${new URLSearchParams({ bot, ...(majority && { majority }) })}`, base);
  const end = (words) => {
    if (words) { column.dataset.state = "ended"; column.classList.add("trouble"); say(column, words); }
    const focused = document.activeElement === stop;
    stop.hidden = true;
    again.hidden = column.dataset.state === "written";
    if (focused) (again.hidden ? column.querySelector("button:not([hidden])") : again)?.focus();
  };
  stop.hidden = false;
  stop.onclick = async () => {
    control.abort();
    column.dataset.state = "stopped";
    say(column, "stopped");
    const told = await fetch(where("stop"), { method: "POST" }).catch(() => null);
    if (!told?.ok) say(column, told ? await refusal(told) : "the server could not be told to stop");
  };
  let last, frame = 0;
  const paint = () => { frame = 0; if (last && !control.signal.aborted) draw(column, last); };
  try {
    const response = await fetch(where("stream"), { signal: control.signal });
    if (!response.ok) return end(await refusal(response));
    for await (const told of lines(response)) {
      last = told;
      frame ||= requestAnimationFrame(paint); // never slower than the model
    }
    cancelAnimationFrame(frame);
    paint();
    end(column.dataset.state === "writing" ? BROKEN : "");
    if (column.dataset.state === "written") judge(column);
  } catch (error) {
    end(error.name === "AbortError" ? "" : BROKEN);
  }
}

// --- what somebody thinks of a text

function judge(column) {
  for (const card of column.querySelectorAll(".card")) {
    const [like, copy, report] = card.querySelectorAll(".actions button");
    card.querySelector(".actions").hidden = false;
    like.onclick = () => think(card, like, "");
    copy.onclick = () => clip(card.querySelector("output"), card.firstElementChild.textContent, card.firstElementChild);
    report.onclick = () => explain(card, report);
  }
}

// Notes an opinion; whether that worked.
async function think(card, button, thanks, reason = "") {
  if (button.ariaPressed === "true") return true;
  const { bot, id } = card.closest("section").dataset;
  const body = JSON.stringify({ bot, place: Number(card.dataset.place), opinion: button.className, reason });
  const headers = { "content-type": "application/json" };
  const noted = await fetch(new URL(`tweets/${id}/opinions`, base), { method: "POST", headers, body }).catch(() => null);
  if (noted?.ok) button.ariaPressed = "true";
  put(card.querySelector("output"), noted?.ok ? thanks : noted ? await refusal(noted) : "the server does not answer");
  return Boolean(noted?.ok);
}

function explain(card, button) {
  if (button.ariaPressed === "true" || card.querySelector(".reason")) return;
  const form = document.getElementById("reason").content.cloneNode(true).firstElementChild;
  const close = () => { form.remove(); button.focus(); };
  form.onsubmit = async (event) => {
    event.preventDefault();
    if (await think(card, button, "Reported, thank you", form.elements.reason.value)) close();
  };
  form.onkeydown = (event) => { if (event.key === "Escape") close(); };
  form.querySelector(".cancel").onclick = close;
  card.append(form);
  form.elements.reason.focus();
}

// --- copies

async function clip(output, text, node) {
  try {
    await navigator.clipboard.writeText(text);
    put(output, "Copied");
  } catch { // no TLS, or a frame that may not
    getSelection().selectAllChildren(node);
    put(output, "Selected: copy it with Ctrl+C");
  }
}

const share = document.querySelector(".share a:not([target])");
share?.addEventListener("click", (event) => {
  event.preventDefault();
  clip(share.nextElementSibling, share.href, share);
});

// --- the page

const columns = [...document.querySelectorAll("section")];
for (const column of columns) {
  column.querySelector(".again").onclick = () => location.reload();
  if (column.dataset.state === "writing") follow(column);
  if (column.dataset.state === "written") judge(column);
  if (column.dataset.state === "failed") column.querySelector(".again").hidden = false;
  const enlarge = column.querySelector(".enlarge");
  if (!enlarge) continue;
  enlarge.hidden = false;
  enlarge.onclick = () => {
    const large = column.classList.toggle("large");
    column.parentElement.classList.toggle("one", large);
    enlarge.ariaPressed = String(large);
  };
}

// What stands at its default is no part of a link.
document.querySelector(".ask").addEventListener("formdata", ({ target, formData }) => {
  for (const knob of target.querySelectorAll("[data-default]")) {
    if (knob.value === knob.dataset.default) formData.delete(knob.name);
  }
});

if (document.body.classList.contains("embedded")) {
  const tell = () => parent.postMessage({ mynahHeight: Math.ceil(document.body.getBoundingClientRect().height) }, "*");
  new ResizeObserver(tell).observe(document.body);
}
