// Forms: sent once, under a key that Back does not change; steppers, placeholders, and filters that need no button.
import { say } from "./toasts.js";

const DOUBLE_CLICK_MS = 600;

export const keepForms = () => {
  takeUpKeys();
  document.addEventListener("htmx:after:swap", keepKeys);
  document.addEventListener("submit", once, true);
  document.addEventListener("click", act);
  document.addEventListener("input", filterSoon);
  document.addEventListener("htmx:after:request", keepAnswer);
  document.addEventListener("htmx:response:error", told);
  for (const name of ["keydown", "keyup", "focusout"]) document.addEventListener(name, noticeCapsLock);
};

/* News of what was done can overtake the answer to its own click, and take away what was clicked: htmx would drop the
   answer with it. Its parts have places of their own. */
const keepAnswer = ({ detail: { ctx } }) => {
  if (ctx.swap === "none" && !ctx.target?.isConnected) ctx.target = document.body;
};

/* A password cannot be seen while it is typed, so that Caps Lock is on has to be said. */
const noticeCapsLock = (event) => {
  const said = event.target.closest?.(".field")?.querySelector("[data-caps]");
  if (said) said.hidden = event.type === "focusout" || !event.getModifierState?.("CapsLock");
};

/* A request key makes a repeat harmless. It stays with this entry of the history: whoever comes Back and sends
   the form again sends the same key, and gets the first answer instead of paying twice. A form that the server
   draws again brings a key of its own. */
const keyFields = () => document.querySelectorAll("input[data-request-key]");
const nameOf = (field) => `key:${field.form?.id || field.name}`;

const takeUpKeys = () => {
  for (const field of keyFields()) field.value = history.state?.[nameOf(field)] ?? field.value;
  keepKeys();
};

const keepKeys = () => {
  const fields = [...keyFields()].filter((field) => history.state?.[nameOf(field)] !== field.value);
  if (!fields.length) return;
  history.replaceState({ ...history.state, ...Object.fromEntries(fields.map((field) => [nameOf(field), field.value])) }, "");
};

const once = (event) => {
  const form = event.target;
  if (!form.matches("form[data-once]")) return;
  if (form._sent) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  form._sent = true;
  // A full-page form goes away with its page; Back brings it from the cache as it was.
  const free = () => delete form._sent;
  // The second click of a double click can come when the answer is here already.
  form.addEventListener("htmx:finally:request", () => setTimeout(free, DOUBLE_CLICK_MS), { once: true });
  addEventListener("pageshow", free, { once: true });
  setTimeout(free, 10000);
};

const act = ({ target }) => {
  const step = target.closest("[data-step]");
  if (step) {
    const input = step.closest(".stepper").querySelector("input");
    const before = input.value;
    input[Number(step.dataset.step) > 0 ? "stepUp" : "stepDown"]();
    if (input.value !== before) for (const name of ["input", "change"]) input.dispatchEvent(new Event(name, { bubbles: true }));
  }
  const placeholder = target.closest("[data-inserts]");
  if (placeholder) {
    const field = document.getElementById(placeholder.dataset.into);
    field.focus();
    field.setRangeText(placeholder.dataset.inserts, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
};

let waiting = 0;
const filterSoon = ({ target }) => {
  // What is being written is left alone when the rest of its page is drawn again; it still says what its writer saw.
  target.closest("form[data-keeps]")?.setAttribute("hx-morph-skip", "");
  if (!target.matches("[data-filter]") || !target.form?.matches("[data-live-filter]")) return;
  clearTimeout(waiting);
  waiting = setTimeout(() => target.form.requestSubmit(), 250);
};

/* What failed on the way: the page says it, since a refused answer is not shown in its place. */
const told = ({ detail }) => {
  const { status, headers } = detail.ctx?.response ?? {};
  if (detail.ctx?.sourceElement?.id === "live" || status === 422) return;
  if (status === 401) location.reload();
  else if (status === 404) say("It is not there any more. Load the page again.");
  else if (headers?.get("content-type")?.startsWith("text/plain")) say(detail.ctx.text); // the site's own words
  else if (status >= 500) say("That did not work. Load the page again to see whether it was done.");
  else if (status >= 400) say("That did not work. Nothing was changed; try again.");
};
