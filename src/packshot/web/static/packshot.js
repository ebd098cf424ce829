// What every page needs. No inline handlers anywhere: parts carry data-*, and each file here serves some of them.
import { keepAgesTrue } from "./ages.js";
import { keepForms } from "./forms.js";
import { keepWhatIsOpen } from "./keeps.js";
import { listenForKeys, showKeys } from "./keys.js";
import { followStream } from "./live.js";
import { openPalette } from "./palette.js";
import { keepRows } from "./rows.js";
import { showTips } from "./tips.js";
import { keepToasts } from "./toasts.js";

export { say } from "./toasts.js";

const root = document.documentElement;
const TURNED_AFTER_MS = 300; // when the new colours are on the screen: sooner, it would be computed beside their drawing

/* Theme, density and keys are cookies, so that the server paints the first frame in them. */
const remember = (name, value) => {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax${secure}`;
};

/* A page in new colours takes a slow machine a tenth of a second to draw. The switch looks pressed before that. */
let turned;
const switchTheme = () => {
  root.dataset.turning = "";
  clearTimeout(turned);
  requestAnimationFrame(() => setTimeout(turn));
};

const turn = () => {
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  turned = setTimeout(() => delete root.dataset.turning, TURNED_AFTER_MS);
  remember("theme", root.dataset.theme);
};

const showSecret = (button) => {
  const input = document.getElementById(button.dataset.shows);
  const shown = input.type === "text";
  input.type = shown ? "password" : "text";
  button.setAttribute("aria-pressed", String(!shown));
};

const copy = async (button) => {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    return; // no permission, or no https: the text is on the page to be selected
  }
  button.dataset.copied = "";
  setTimeout(() => delete button.dataset.copied, 1500);
};

document.addEventListener("click", ({ target }) => {
  const part = target.closest("[data-theme-switch], [data-opens], [data-closes], [data-shows], [data-copy], [data-palette], [data-saves]");
  if (part?.matches("[data-theme-switch]")) switchTheme();
  else if (part?.matches("[data-palette]")) openPalette();
  else if (part?.matches("[data-opens=keys]")) showKeys();
  else if (part?.matches("[data-opens]")) document.getElementById(part.dataset.opens)?.showModal();
  else if (part?.matches("[data-closes]")) part.closest("dialog").close();
  else if (part?.matches("[data-shows]")) showSecret(part);
  else if (part?.matches("[data-copy]")) copy(part);
  else if (part?.matches("[data-saves]")) import("./charts.js").then(({ save }) => save(part)); // few ever do
  else if (target.matches("dialog")) target.close(); // a click beside it
});

/* A menu drops from the button that opens it. (Anchored by script: anchor() is not in every browser yet.) */
let opener = null;
document.addEventListener("click", ({ target }) => (opener = target.closest("[popovertarget]") ?? opener), true);
document.addEventListener("toggle", ({ target, newState }) => {
  if (newState !== "open" || !target.matches?.(".menu.dropdown") || !opener) return;
  const at = opener.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left, innerWidth - target.offsetWidth - 8));
  target.style.setProperty("left", `${left + scrollX}px`);
  target.style.setProperty("top", `${at.bottom + scrollY}px`);
}, true);

keepAgesTrue();
keepToasts();
keepForms();
keepRows();
keepWhatIsOpen();
showTips();
listenForKeys({ switchTheme, openPalette });
followStream(document.getElementById("live"));
