// The keyboard. Keys are dead in fields, behind dialogs and with modifiers; single keys can be switched off
// (WCAG 2.1.4). A control names its key in data-key and is clicked by it, so that key and mouse do the same.
import { undoNewest } from "./toasts.js";

const root = document.documentElement;
const GO_WITHIN_MS = 900;

const visible = (element) => element.checkVisibility() && !element.disabled;
const rows = () => [...document.querySelectorAll("[data-row]")].filter(visible);
const current = () => document.querySelector("[data-row].current");

export const listenForKeys = ({ switchTheme, openPalette }) => {
  let goingUntil = 0;
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    const command = (event.ctrlKey || event.metaKey) && !event.altKey;
    if (command && key.toLowerCase() === "k") {
      event.preventDefault();
      openPalette();
      return;
    }
    const typing = target.closest("input:not(.check), textarea, select, [contenteditable]");
    if (command && key === "Enter") {
      const form = target.closest("form[data-enter]") ?? document.querySelector("form[data-enter]");
      form?.requestSubmit(form.querySelector("[type=submit]:not(:disabled)") ?? undefined);
      return;
    }
    if (command && key.toLowerCase() === "z" && !typing) {
      if (undoNewest()) event.preventDefault();
      return;
    }
    if (command || event.altKey || typing || document.querySelector("dialog[open]")) return;
    if (root.dataset.keys === "off") return;
    if (Date.now() < goingUntil) {
      goingUntil = 0;
      document.querySelector(`.nav [data-go="${CSS.escape(key.toLowerCase())}"]`)?.click();
      return;
    }
    if (press(event, key, { switchTheme })) event.preventDefault();
    else if (key === "g") goingUntil = Date.now() + GO_WITHIN_MS;
  });
};

/** Whether `key` did something. */
const press = (event, key, { switchTheme }) => {
  const own = [...document.querySelectorAll(`[data-key="${CSS.escape(key.toLowerCase())}"]`)].find(visible);
  // On many keyboards signs and digits need Shift; with a letter it means another key.
  if (own && !(event.shiftKey && /^\p{L}$/u.test(key))) return own.click(), true;
  if (key === "j") return move(1);
  if (key === "k") return move(-1);
  if (key === "t") return switchTheme(), true;
  if (key === "?") return showKeys(), true;
  if (key === "/") return focus(document.querySelector("[data-filter]"));
  const row = current();
  if (!row || event.target.closest("a, button, summary, .check")) return false;
  if (key === "x") return click(row.querySelector(".check"));
  if (key === " ") return click(row.querySelector("[data-panel]"));
  if (key === "Enter") return click(row.querySelector("a[data-page]") ?? row.querySelector("[data-panel]"));
  return false;
};

/** The list of keys: of those for rows, fields and forms what this page has. */
export const showKeys = () => {
  const box = document.getElementById("keys");
  for (const each of box?.querySelectorAll("[data-of]") ?? []) each.hidden = !document.querySelector(each.dataset.of);
  box?.showModal();
};

const click = (element) => (element?.click(), Boolean(element));
const focus = (element) => (element?.focus(), element?.select?.(), Boolean(element));

const move = (step) => {
  const all = rows();
  if (!all.length) return false;
  const at = all.findIndex((row) => row.classList.contains("current"));
  const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
  setCurrent(next);
  next.scrollIntoView({ block: "nearest" });
  return true;
};

export const setCurrent = (row) => {
  for (const each of document.querySelectorAll("[data-row].current")) {
    each.classList.remove("current");
    each.removeAttribute("aria-current");
  }
  row?.classList.add("current");
  row?.setAttribute("aria-current", "true");
};
