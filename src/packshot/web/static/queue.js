// The Queue: a panel beside the rows that stands in the address and follows what it shows, a filter that is typed
// without loading the page, what a choice would cost, and the question before an action on many.
const one = (selector) => document.querySelector(selector);
const panel = () => document.getElementById("panel");
const shown = () => panel()?.dataset.generation ?? "";
const inAddress = () => new URL(location.href).searchParams.get("generation") ?? "";
const covers = matchMedia("(max-width: 1180px)");

const keepQueue = () => {
  takePictures();
  document.addEventListener("htmx:after:swap", askIfAsked);
  document.addEventListener("queue:done", tidy);
  document.addEventListener("rows:change", showWorth);
  document.addEventListener("toggle", fillFacet, true);
  if (!panel()) return;
  document.addEventListener("htmx:before:swap", follow);
  document.addEventListener("htmx:after:swap", markOpenRow);
  document.addEventListener("click", choosePanel);
  document.addEventListener("submit", stay);
  document.addEventListener("submit", holdStill);
  addEventListener("popstate", () => shown() === inAddress() || show(inAddress()));
  markOpenRow();
};

/* -- the panel ------------------------------------------------------------------------------------- */

let opener = "";

const choosePanel = (event) => {
  const { target } = event;
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (panel().hasAttribute("data-alone")) return;
  if (target.closest("[data-closes-panel]")) return event.preventDefault(), close();
  const step = target.closest("[data-neighbour]");
  const link = step ? neighbour(Number(step.dataset.neighbour)) : target.closest("[data-panel]") ?? ofRow(target);
  if (!link) return;
  event.preventDefault();
  open(link.dataset.panel, event.detail === 0 && !step);
};

// A click anywhere in a row that is not on something of its own.
const ofRow = (target) =>
  target.closest("a, button, input, label, summary, .c-check") || String(getSelection())
    ? null
    : target.closest("[data-row]")?.querySelector("[data-panel]");

const neighbour = (step) => {
  const rows = [...document.querySelectorAll("[data-row]")];
  const at = rows.findIndex((row) => row.id === `generation-${shown()}`);
  return rows[at + step]?.querySelector("[data-panel]");
};

// The panel is one step back, however many were looked at in it.
const open = (id, byKeyboard) => {
  if (id === shown()) return byKeyboard ? close() : undefined;
  const url = new URL(location.href);
  const first = !inAddress();
  url.searchParams.set("generation", id);
  history[first ? "pushState" : "replaceState"]({ ...history.state, panel: first || history.state?.panel }, "", url);
  opener = id;
  show(id, byKeyboard || covers.matches);
};

const close = () => {
  if (history.state?.panel) return history.back();
  const url = new URL(location.href);
  url.searchParams.delete("generation");
  history.replaceState(history.state, "", url);
  show("");
};

const show = async (id, takeFocus = false) => {
  const place = panel();
  if (!id) {
    const hadFocus = place.contains(document.activeElement) || document.activeElement === document.body;
    htmx.trigger(place, "htmx:abort");
    place.hidden = true;
    place.className = "";
    place.parentElement.classList.remove("opens");
    place.removeAttribute("data-generation");
    place.removeAttribute("aria-labelledby");
    place.replaceChildren();
    markOpenRow();
    if (hadFocus) one(`[data-panel="${CSS.escape(opener)}"]`)?.focus({ preventScroll: true });
    return;
  }
  const fresh = id !== shown();
  // The row answers the press at once: an answer that is quick would hold that up with all it draws.
  markOpen(id);
  await painted();
  if (inAddress() !== id) return;
  await redraw();
  if (shown() !== id && inAddress() === id) markOpen(shown()); // no answer came
  if (shown() !== id || !fresh) return;
  panel().scrollTop = 0;
  if (takeFocus) document.getElementById("panel-title")?.focus({ preventScroll: true });
};

const painted = () => new Promise((then) => {
  requestAnimationFrame(() => setTimeout(then));
  setTimeout(then, 200); // where nobody looks there are no frames
});

const redraw = () =>
  htmx.ajax("GET", location.pathname + location.search, {
    source: "#panel", target: "#panel", select: "#panel", swap: "outerMorph",
  });

/* What the stream or an answer draws again in the list is asked for again in the panel, which holds more than the
   stream may carry: the buttons of this person. */
let soon = 0;
const follow = ({ detail }) => {
  for (const task of detail.tasks) {
    const drawn = task.fragment.firstElementChild;
    if (drawn?.id && drawn.id === `generation-${shown()}`) redrawSoon();
  }
};

/* Never over a form that is on its way, or that came back with what is wrong in it: a look at how it stood before
   would take the words of the person and the answer away. */
let sending = null;
let missed = false;
const wrong = () => panel().querySelector("form [role=alert]");

const redrawSoon = () => {
  clearTimeout(soon);
  if (sending) missed = true;
  else if (!wrong()) soon = setTimeout(() => shown() && !sending && !wrong() && redraw(), 150);
};

const holdStill = ({ target }) => {
  if (!panel().contains(target) || !target._sent) return; // the second click of a double click is not sent
  clearTimeout(soon);
  htmx.trigger(panel(), "htmx:abort");
  sending = target;
  const answered = ({ detail }) => {
    sending = null;
    if (detail.ctx?.response?.status < 400) shown() && redraw();
    else if (missed) redrawSoon();
    missed = false;
  };
  target.addEventListener("htmx:finally:request", answered, { once: true });
};

const markOpenRow = () => {
  panel().parentElement.classList.toggle("opens", !panel().hidden);
  markOpen(shown());
};

const markOpen = (id) => {
  for (const row of document.querySelectorAll("[data-row]")) row.classList.toggle("open", row.id === `generation-${id}`);
};

/* -- an image that was made by hand: dropped on its form, or pasted while it is there ---------------- */

const takePictures = () => {
  const into = (form, files) => {
    const pictures = [...files].filter(({ type }) => type.startsWith("image/"));
    if (!pictures.length) return false;
    const taken = new DataTransfer();
    for (const each of pictures) taken.items.add(each);
    form.querySelector("input[type=file]").files = taken.files;
    form.querySelector("[type=submit]").focus();
    return true;
  };
  document.addEventListener("paste", (event) => {
    const form = one("form[data-takes-pictures]");
    if (form && event.clipboardData && into(form, event.clipboardData.files)) event.preventDefault();
  });
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => {
      const form = event.target.closest?.(".bring")?.querySelector("form");
      if (!form) return;
      event.preventDefault();
      if (name === "drop") into(form, event.dataTransfer.files);
    });
  }
};

/* -- the filter ------------------------------------------------------------------------------------ */

const stay = (event) => {
  const form = event.target;
  if (!form.matches("form[data-stays]")) return;
  event.preventDefault();
  const url = new URL(form.action);
  for (const [name, value] of new FormData(form)) if (value) url.searchParams.append(name, value);
  if (inAddress()) url.searchParams.set("generation", inAddress());
  history.replaceState(history.state, "", url);
  htmx.ajax("GET", url.pathname + url.search, { source: "#page", target: "#page", select: "#page", swap: "outerMorph" });
};

/* What a facet can say is counted when somebody asks: nine counts for each look at the list would be for nothing.
   A menu that was drawn again holds the link to its choices once more, and is filled anew. */
const fillFacet = ({ target, newState }) => {
  if (newState !== "open" || !target.matches?.("[data-facet]")) return;
  if (target.querySelector("a")?.getAttribute("href") !== target.dataset.facet) return;
  htmx.ajax("GET", target.dataset.facet, { source: target, target });
};

/* -- what is chosen -------------------------------------------------------------------------------- */

const micros = (row) => (row.dataset.price === undefined ? NaN : Math.round(Number(row.dataset.price) * 1e6));

/** The price on the button is the price that is agreed to: the server asks when it has become another. */
const showWorth = ({ target, detail }) => {
  const bar = target.querySelector(".bulk");
  if (!bar || !target.querySelector("input[name=agreed]")) return; // rows of another page
  const rows = [...target.querySelectorAll("[data-row]")].filter((row) => row.querySelector(".check").checked);
  const failed = rows.filter((row) => row.dataset.status === "failed");
  const sum = failed.reduce((all, row) => all + micros(row), 0);
  target.querySelector("input[name=agreed]").value = Number.isNaN(sum) ? "" : sum;
  // All that match may have any status, unless the filter names one.
  const named = target.querySelector("input[name=status]")?.value;
  const there = detail.everything ? named && [named] : rows.map((row) => row.dataset.status);
  for (const button of bar.querySelectorAll("[data-for]")) {
    button.hidden = Boolean(there) && !button.dataset.for.split(" ").some((status) => there.includes(status));
  }
  const worth = bar.querySelector("[data-worth]");
  worth.textContent = detail.everything || !failed.length ? "" : Number.isNaN(sum) ? "price unknown" : price(sum, failed.length);
};

const price = (sum, count) => {
  if (!sum) return "free";
  const places = count === 1 ? 3 : 2;
  const least = 10 ** -places;
  return `$${Math.max(sum / 1e6, least).toLocaleString(document.documentElement.lang, { minimumFractionDigits: places, maximumFractionDigits: places })}`;
};

const askIfAsked = () => {
  const dialog = one("dialog[data-ask]");
  if (!dialog) return;
  dialog.removeAttribute("data-ask");
  if (!dialog.open) dialog.showModal();
};

const tidy = () => {
  one("#question[open]")?.close();
  for (const list of document.querySelectorAll("[data-rows]")) list.dispatchEvent(new Event("rows:clear", { bubbles: true }));
};

keepQueue();
