// One product's page: which image stands on the stage, how close one looks at it, and who changed what shoppers see.
import { say } from "./toasts.js";

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

const addressOf = (frame) => {
  const address = new URL(location.href);
  address.searchParams.set("image", frame.id.replace("image-", ""));
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
  const arrows = { ArrowLeft: -1, ArrowRight: 1 };
  if (arrows[key]) step(arrows[key]);
  else if (document.documentElement.dataset.keys === "off") return;
  else if (key === "+" || key === "=") look(CLOSE);
  else if (key === "-" || key === "0") look(1);
  else return;
  event.preventDefault();
});

/* -- what others do -------------------------------------------------------------------------------------- */

let told = one("#choice")?.dataset.event;
document.addEventListener("htmx:after:swap", () => {
  // The first image of a product takes the empty stage; those that follow wait in the strip.
  const stage = one("#stage-empty");
  if (stage?.querySelector(".pane")) {
    stage.removeAttribute("id");
    const frame = document.getElementById(`image-${pane().dataset.image}`);
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
