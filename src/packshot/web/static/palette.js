// Search or jump: places and commands from the page itself, products and generations from the server.
const SEARCH_AFTER_MS = 150;

export const openPalette = () => {
  const box = document.getElementById("palette");
  if (!box || box.matches(":popover-open") || document.querySelector("dialog:modal")) return;
  ready(box);
  const input = box.querySelector("input");
  input.value = "";
  narrow(box);
  box.showPopover();
  input.focus();
};

const options = (box) => [...box.querySelectorAll("[role=option]")].filter((each) => !each.hidden);

const ready = (box) => {
  if (box._ready) return;
  box._ready = true;
  const input = box.querySelector("input");
  let timer = 0;
  input.addEventListener("input", () => {
    narrow(box);
    clearTimeout(timer);
    timer = setTimeout(() => htmx.trigger(box.querySelector("[data-found]"), "search"), SEARCH_AFTER_MS);
  });
  box.addEventListener("htmx:after:swap", () => narrow(box));
  box.addEventListener("keydown", (event) => {
    const all = options(box);
    const at = all.findIndex((each) => each.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown") choose(box, all[Math.min(all.length - 1, at + 1)]);
    else if (event.key === "ArrowUp") choose(box, all[Math.max(0, at - 1)]);
    else if (event.key === "Enter") take(box, all[at]);
    else if (event.key !== "Tab") return; // there is one field, and the page under it is out of reach
    event.preventDefault();
  });
  box.addEventListener("mousedown", (event) => event.target !== input && event.preventDefault()); // the field keeps the focus
  box.addEventListener("click", ({ target }) => (target === box ? box.hidePopover() : take(box, target.closest("[role=option]"))));
};

/* Only what contains every typed word stays. What the server found is shown as it comes. */
const narrow = (box) => {
  const words = box.querySelector("input").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const option of box.querySelectorAll("[data-own] [role=option]")) {
    const text = option.textContent.toLowerCase();
    option.hidden = !words.every((word) => text.includes(word));
  }
  for (const group of box.querySelectorAll("[data-own][role=group]")) {
    group.hidden = ![...group.querySelectorAll("[role=option]")].some((each) => !each.hidden);
  }
  choose(box, options(box)[0]);
};

const choose = (box, option) => {
  const input = box.querySelector("input");
  for (const each of box.querySelectorAll("[role=option][aria-selected=true]")) each.setAttribute("aria-selected", "false");
  if (!option) return input.removeAttribute("aria-activedescendant");
  option.setAttribute("aria-selected", "true");
  requestAnimationFrame(() => option.scrollIntoView({ block: "nearest" })); // with the layout that comes anyway
  input.setAttribute("aria-activedescendant", option.id);
};

const take = (box, option) => {
  if (!option) return;
  box.hidePopover();
  if (option.dataset.href) location.href = option.dataset.href;
  else document.querySelector(option.dataset.clicks)?.click();
};
