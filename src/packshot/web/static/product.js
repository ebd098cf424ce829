// One product's page: which image stands on the stage, how close one looks at it, what is brought to it, what was
// made for it before, and who changed what shoppers see.
import { say } from "./packshot.js";

const CLOSE = 2.4;
const DECODE_WITHIN_MS = 3000;

const one = (selector) => document.querySelector(selector);
const film = () => one("#film");
const frames = () => [...film().querySelectorAll(".frame")];
const pane = () => one("[data-stage] > .pane");
const current = () => film().querySelector(".frame[aria-current]");

/* -- the film strip -------------------------------------------------------------------------------- */

const setCurrent = (frame) => {
  current()?.removeAttribute("aria-current");
  frame.setAttribute("aria-current", "true");
  frame.scrollIntoView({ block: "nearest", inline: "nearest" });
};

const idOf = (frame) => frame.parentElement.id.replace("image-", "");
const frameOf = (id) => document.getElementById(`image-${id}`)?.querySelector(".frame");

const addressOf = (frame) => {
  const address = new URL(location.href);
  address.searchParams.set("image", idOf(frame));
  return address.pathname + address.search;
};

/** The old image stays until the new one can be painted whole. */
const decoded = async (html) => {
  const source = new DOMParser().parseFromString(html, "text/html").querySelector("[data-stage] img")?.getAttribute("src");
  if (!source) return;
  const image = new Image();
  image.src = source;
  await Promise.race([image.decode().catch(() => {}), new Promise((done) => setTimeout(done, DECODE_WITHIN_MS))]);
};

let wanted = 0;
const show = async (frame) => {
  setCurrent(frame);
  const mine = (wanted += 1);
  const address = addressOf(frame);
  const answer = await fetch(address, { headers: { "HX-Request": "true" } });
  if (!answer.ok) return location.assign(address);
  const html = await answer.text();
  await decoded(html);
  if (mine !== wanted) return;
  history.replaceState(history.state, "", address);
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-stage]");
  const stage = one("[data-stage]");
  stage.replaceChildren(...fresh.childNodes);
  stage.removeAttribute("id");
  htmx.process(stage);
  showZoom();
};

const step = (by) => {
  const all = frames();
  const at = all.indexOf(current());
  const next = all[Math.max(0, Math.min(all.length - 1, at + by))];
  if (!next || next === all[at]) return;
  const follows = film().contains(document.activeElement);
  if (follows) next.focus();
  show(next);
};

document.addEventListener("click", (event) => {
  const frame = event.target.closest("#film .frame");
  if (!frame || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  // Enter or a click on the frame that is shown already: that one.
  if (frame === current() && event.detail === 0) one("[data-stage] [data-key=s]")?.click();
  else show(frame);
});

/* Lineage and history lead to images of the strip; an older one has its page loaded. */
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-shows-image]");
  const frame = link && frameOf(link.dataset.showsImage);
  if (!frame || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  show(frame);
  frame.focus({ preventScroll: true });
  one("[data-stage]").scrollIntoView({ block: "nearest" });
});

/* -- closer ------------------------------------------------------------------------------------------ */

let zoom = 1;
let place = { x: 0, y: 0 };

const image = () => pane()?.querySelector(":scope > img");

const look = (level, x = 0, y = 0) => {
  const picture = image();
  if (!picture) return;
  zoom = level;
  const room = { x: (picture.clientWidth * (zoom - 1)) / 2, y: (picture.clientHeight * (zoom - 1)) / 2 };
  place = { x: Math.max(-room.x, Math.min(room.x, x)), y: Math.max(-room.y, Math.min(room.y, y)) };
  picture.style.setProperty("transform", zoom === 1 ? "" : `translate(${place.x}px, ${place.y}px) scale(${zoom})`);
  pane().classList.toggle("zoomed", zoom > 1);
};

const showZoom = () => {
  const buttons = pane()?.querySelector(".zoom");
  if (buttons) buttons.hidden = false;
  zoom = 1;
};

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-zooms]");
  if (button) look(button.dataset.zooms === "in" ? CLOSE : 1);
});

document.addEventListener("pointerdown", (event) => {
  const picture = event.target;
  if (picture !== image() || event.button) return;
  const from = { x: event.clientX, y: event.clientY };
  const began = { ...place };
  let moved = false;
  picture.setPointerCapture(event.pointerId);
  const move = ({ clientX, clientY }) => {
    moved ||= Math.hypot(clientX - from.x, clientY - from.y) > 4;
    if (moved && zoom > 1) look(zoom, began.x + clientX - from.x, began.y + clientY - from.y);
  };
  const end = ({ type }) => {
    picture.removeEventListener("pointermove", move);
    if (moved || type === "pointercancel") return;
    if (zoom > 1) return look(1);
    // What was pointed at stays under the pointer.
    const box = picture.getBoundingClientRect();
    look(CLOSE, (box.left + box.width / 2 - from.x) * (CLOSE - 1), (box.top + box.height / 2 - from.y) * (CLOSE - 1));
  };
  picture.addEventListener("pointermove", move);
  picture.addEventListener("pointerup", end, { once: true });
  picture.addEventListener("pointercancel", end, { once: true });
});

/* -- keys ---------------------------------------------------------------------------------------------- */

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (target.closest("input, textarea, select, [contenteditable]")) return;
  // S on a frame that has the focus means this one, whichever is large.
  const own = key === "s" && target.matches(".frame") && target !== current() && target.parentElement.querySelector("button");
  if (own && document.documentElement.dataset.keys !== "off") {
    event.preventDefault();
    event.stopImmediatePropagation();
    return own.click();
  }
  const arrows = { ArrowLeft: -1, ArrowRight: 1 };
  if (arrows[key]) step(arrows[key]);
  else if (document.documentElement.dataset.keys === "off") return;
  else if (key === "+" || key === "=") look(CLOSE);
  else if (key === "-" || key === "0") look(1);
  else return;
  event.preventDefault();
}, true);

/* -- photos that are brought ------------------------------------------------------------------------------ */

const bring = (files) => {
  const input = one("#photos");
  if (!input || !files.length) return;
  // What is no picture goes along: the answer says of each why it was refused.
  const taken = new DataTransfer();
  for (const each of files) taken.items.add(each);
  input.files = taken.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
};

const carriesFiles = ({ dataTransfer, target }) =>
  dataTransfer?.types.includes("Files") && one("#add-photo") && target.closest?.(".viewing");

for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    const place = carriesFiles(event);
    if (!place) return;
    event.preventDefault();
    place.toggleAttribute("data-drops", name === "dragover");
    if (name === "drop") bring(event.dataTransfer.files);
  });
}

// The same file can be brought again, and what was refused does not go a second time with the next.
one("#add-photo")?.addEventListener("htmx:finally:request", () => (one("#photos").value = ""));

/* -- a link for a colleague -------------------------------------------------------------------------------- */

const copyFrom = async (field) => {
  field.select();
  // Without https there is no clipboard of the newer kind; what is selected can be copied by hand at the least.
  const copied = navigator.clipboard
    ? await navigator.clipboard.writeText(field.value).then(() => true, () => document.execCommand("copy"))
    : document.execCommand("copy");
  say(copied ? "Link copied" : "Press Ctrl-C to copy the link", copied ? "ok" : "warn");
};

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-copies]");
  if (button) copyFrom(document.getElementById(button.dataset.copies));
});

/* -- what was made before ---------------------------------------------------------------------------------- */

// A filter and a page of the history stand in the address of this page, whose other parts stay as they are.
const readHistory = (address) =>
  htmx.ajax("GET", address, { source: "#page", target: "#product-history", select: "#product-history", swap: "outerMorph" });

const goTo = (address) => {
  history.replaceState(history.state, "", address);
  readHistory(address.pathname + address.search);
};

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-past]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  goTo(new URL(link.href));
  one("#history").focus();
});

const narrow = (form) => {
  const address = new URL(location.pathname, location.href);
  for (const [name, value] of new FormData(form)) if (value) address.searchParams.append(name, value);
  address.hash = "history";
  goTo(address);
};
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-past]")) return;
  event.preventDefault();
  narrow(event.target);
});
document.addEventListener("change", ({ target }) => target.form?.matches("form[data-past]") && narrow(target.form));

/* Which frame is large is this page's own affair: the stream, which draws them anew, knows nothing of it. */
document.addEventListener("htmx:before:swap", ({ detail }) => {
  const shown = current()?.parentElement.id;
  for (const { fragment } of detail.tasks) {
    if (shown && fragment.firstElementChild?.id === shown) fragment.querySelector(".frame").setAttribute("aria-current", "true");
  }
});

/* -- what others do -------------------------------------------------------------------------------------- */

let told = one("#choice")?.dataset.event;
let happened = "0";
let soon = 0;
document.addEventListener("htmx:after:swap", () => {
  const fresh = one("[data-fresh-link]");
  if (fresh) {
    fresh.removeAttribute("data-fresh-link");
    copyFrom(fresh);
  }
  // What is new is in the history of this page's own filter.
  const now = one("#happened")?.dataset.event ?? happened;
  if (now !== happened && now !== "0") {
    happened = now;
    clearTimeout(soon);
    soon = setTimeout(() => readHistory(location.pathname + location.search), 300);
  }
  // The first image of a product takes the empty stage; those that follow wait in the strip.
  const stage = one("#stage-empty");
  if (stage?.querySelector(".pane")) {
    stage.removeAttribute("id");
    const frame = frameOf(pane().dataset.image);
    if (frame) setCurrent(frame);
    showZoom();
  } else if (pane()?.querySelector(".zoom[hidden]")) {
    const level = zoom;
    showZoom();
    look(level, place.x, place.y);
  }
  const choice = one("#choice");
  if (!choice || choice.dataset.event === told) return;
  told = choice.dataset.event;
  const by = choice.dataset.by;
  if (by && by !== one("#page").dataset.me) say(`${by} changed the active image`, "ok");
});

showZoom();
