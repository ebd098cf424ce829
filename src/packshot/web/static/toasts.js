// Results of what I did: they leave by themselves, but never while somebody reads or reaches for them.
const STAY_MS = 4000;
const STAY_WITH_ACTION_MS = 10000;

const region = () => document.getElementById("toasts");

export const keepToasts = () => {
  const toasts = region();
  if (!toasts) return;
  for (const toast of toasts.children) run(toast);
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node.nodeType === 1) run(node);
  }).observe(toasts, { childList: true });
};

const run = (toast) => {
  let timer = 0;
  const stay = toast.querySelector("button[data-undo], a") ? STAY_WITH_ACTION_MS : STAY_MS;
  const start = () => (timer = setTimeout(() => leave(toast), stay));
  const stop = () => clearTimeout(timer);
  for (const name of ["pointerenter", "focusin"]) toast.addEventListener(name, stop);
  for (const name of ["pointerleave", "focusout"]) toast.addEventListener(name, () => (stop(), start()));
  toast.addEventListener("click", ({ target }) => target.closest("[data-dismiss]") && leave(toast));
  // An undo that was taken has its own result. Not sooner: what it answers is not swapped for a button that is gone.
  toast.addEventListener("htmx:finally:request", () => leave(toast));
  start();
};

const leave = (toast) => {
  const hadFocus = toast.contains(document.activeElement);
  toast.remove();
  if (hadFocus) document.getElementById("main")?.focus();
};

/** Take back the newest thing that can be. */
export const undoNewest = () => {
  const buttons = region()?.querySelectorAll("button[data-undo]");
  buttons?.[buttons.length - 1]?.click();
  return Boolean(buttons?.length);
};

/** Say something that no answer of the server says: `tone` names an icon of the template. */
export const say = (words, tone = "bad") => {
  const pattern = document.getElementById(`toast-${tone}`);
  if (!pattern || !region()) return;
  const toast = pattern.content.firstElementChild.cloneNode(true);
  toast.querySelector("[data-words]").textContent = words;
  region().append(toast);
};
