// Known prompts that begin as what is typed: https://www.w3.org/WAI/ARIA/apg/patterns/combobox/
// The prompt box works without this.

const base = new URL("..", import.meta.url);
const PAUSE = 120; // ms after the last key
const MOST = 8;

const input = document.getElementById("prompt"), list = document.getElementById("known"), form = input.form;
let at = -1, timer = 0, turn = 0;

function close() {
  clearTimeout(timer);
  turn += 1; // what was asked for comes too late
  at = -1;
  list.hidden = true;
  input.ariaExpanded = "false";
  input.removeAttribute("aria-activedescendant");
}

function choose(option) {
  input.value = option.textContent;
  close();
  form.requestSubmit();
}

function mark(place) {
  const options = [...list.children];
  at = (place + options.length) % options.length;
  options.forEach((option, n) => { option.ariaSelected = String(n === at); });
  options[at].scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", options[at].id);
}

async function known(bot, prefix) {
  const response = await fetch(new URL(`prompts?${new URLSearchParams({ bot, prefix })}`, base)).catch(() => null);
  return response?.ok ? (await response.json()).prompts : [];
}

async function look() {
  const mine = (turn += 1);
  const ticked = [...form.querySelectorAll("[name=bot]:checked")].map((box) => box.value);
  const bots = ticked.length ? ticked : form.dataset.bots.split(" ");
  const found = (await Promise.all(bots.map((bot) => known(bot, input.value)))).flat();
  if (mine !== turn || document.activeElement !== input) return;
  const texts = [...new Set(found)].slice(0, MOST);
  if (!texts.length) return close();
  list.replaceChildren(...texts.map((text, n) => {
    const option = document.createElement("li");
    Object.assign(option, { id: `known-${n}`, role: "option", ariaSelected: "false", textContent: text });
    option.onclick = () => choose(option);
    return option;
  }));
  at = -1;
  input.removeAttribute("aria-activedescendant");
  list.hidden = false;
  input.ariaExpanded = "true";
}

Object.assign(input, { role: "combobox", ariaAutoComplete: "list", ariaExpanded: "false" });
input.setAttribute("aria-controls", list.id);
list.onmousedown = (event) => event.preventDefault(); // the input keeps the focus
input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, PAUSE); });
input.addEventListener("blur", close);
form.addEventListener("submit", close);
input.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "Escape" && !list.hidden) {
    event.preventDefault();
    close();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (list.hidden) look();
    else mark(event.key === "ArrowDown" ? at + 1 : at < 0 ? -1 : at - 1);
  } else if (event.key === "Enter" && at >= 0) {
    event.preventDefault();
    choose(list.children[at]);
  }
});
