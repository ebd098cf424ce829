// What every page needs: the theme, the clock, the keyboard. No inline handlers anywhere: parts carry data-*.
import { keepAgesTrue } from "./ages.js";
import { followStream } from "./live.js";

const root = document.documentElement;
const one = (selector) => document.querySelector(selector);

/* The theme is a cookie, so that the server paints the first frame in it. */
const switchTheme = () => {
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax${secure}`;
};

const showSecret = (button) => {
  const input = document.getElementById(button.dataset.shows);
  const shown = input.type === "text";
  input.type = shown ? "password" : "text";
  button.setAttribute("aria-pressed", String(!shown));
};

document.addEventListener("click", ({ target }) => {
  const part = target.closest("[data-theme-switch], [data-opens], [data-closes], [data-shows]");
  if (part?.matches("[data-theme-switch]")) switchTheme();
  else if (part?.matches("[data-opens]")) document.getElementById(part.dataset.opens).showModal();
  else if (part?.matches("[data-closes]")) part.closest("dialog").close();
  else if (part?.matches("[data-shows]")) showSecret(part);
  else if (target.matches("dialog")) target.close(); // a click beside it
});

/* Keys are dead in fields and behind dialogs. G and a place's first letter go there. */
let goingUntil = 0;
document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.closest("input, textarea, select, [contenteditable]") || one("dialog[open]")) return;
  if (Date.now() < goingUntil) {
    goingUntil = 0;
    const place = [...document.querySelectorAll(".nav .place")].find(
      (link) => link.textContent.trim()[0].toLowerCase() === key.toLowerCase(),
    );
    if (place) location.href = place.href;
  } else if (key === "g") goingUntil = Date.now() + 900;
  else if (key === "t") switchTheme();
  else if (key === "?") one("#keys")?.showModal();
});

for (const toast of document.querySelectorAll(".toast")) setTimeout(() => toast.remove(), 4000);

keepAgesTrue();
followStream(one("#live"));
