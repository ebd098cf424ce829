// The form that asks for images: pictures dropped or pasted, and a mask painted over the first of them.
const PICTURES = ["image/png", "image/jpeg", "image/webp"];
const LARGEST_CANVAS_PX = 1024;

const one = (selector) => document.querySelector(selector);

/* -- pictures ---------------------------------------------------------------------------------------- */

/** As if they had been chosen from the disk: the field sends them by itself. */
const put = (input, files) => {
  const pictures = [...files].filter(({ type }) => PICTURES.includes(type));
  if (!pictures.length || !input || input.disabled) return false;
  const taken = new DataTransfer();
  for (const each of pictures) taken.items.add(each);
  input.files = taken.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
};

for (const name of ["dragover", "drop"]) {
  document.addEventListener(name, (event) => {
    const form = event.target.closest?.("#ask");
    if (!form || !event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    const masked = event.target.closest("#ask-mask");
    if (name === "drop") put(one(masked ? "#ask-mask-file" : "#ask-files"), event.dataTransfer.files);
  });
}

document.addEventListener("paste", (event) => {
  if (!one("#ask") || event.target.closest?.("form:not(#ask)")) return;
  if (put(one("#ask-files"), event.clipboardData?.files ?? [])) event.preventDefault();
});

/* The button that was pressed may be gone with its picture: the way to the next one is not to be lost. */
let pressed = false;
document.addEventListener("click", ({ target }) => {
  pressed = Boolean(target.closest("[data-pictures] [name=do]"));
}, true);

document.addEventListener("htmx:after:swap", () => {
  for (const input of document.querySelectorAll("[data-pictures] input[type=file]")) input.value = "";
  if (pressed && document.activeElement === document.body) one("#ask-files:not(:disabled)")?.focus();
});

/* -- a mask that is painted ---------------------------------------------------------------------------- */

let order = null; // what the button that opened it says: the picture, its size, what marks a change
let painted = null; // a canvas that holds the strokes alone
let last = null;
let erases = false;

const canvas = () => one("#painter-canvas");
const picture = new Image();

const draw = () => {
  const board = canvas();
  const context = board.getContext("2d");
  context.clearRect(0, 0, board.width, board.height);
  if (picture.complete && picture.naturalWidth) context.drawImage(picture, 0, 0, board.width, board.height);
  context.globalAlpha = 0.6;
  context.drawImage(painted, 0, 0);
  context.globalAlpha = 1;
};

const open = ({ dataset }) => {
  order = dataset;
  const width = Number(order.width);
  const height = Number(order.height);
  const scale = Math.min(1, LARGEST_CANVAS_PX / Math.max(width, height));
  for (const each of [canvas(), (painted = document.createElement("canvas"))]) {
    each.width = Math.max(1, Math.round(width * scale));
    each.height = Math.max(1, Math.round(height * scale));
  }
  picture.onload = draw;
  picture.src = order.paints;
  setErases(false);
  one("#painter").showModal();
  draw();
};

const setErases = (wanted) => {
  erases = wanted;
  one("[data-painter=erase]").setAttribute("aria-pressed", String(erases));
};

const at = ({ clientX, clientY }) => {
  const box = canvas().getBoundingClientRect();
  const scale = canvas().width / box.width;
  return { x: (clientX - box.left) * scale, y: (clientY - box.top) * scale };
};

const stroke = (to) => {
  const context = painted.getContext("2d");
  context.globalCompositeOperation = erases ? "destination-out" : "source-over";
  context.strokeStyle = "#e5484d";
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = (Number(one("#painter-size").value) / 100) * Math.max(painted.width, painted.height);
  context.beginPath();
  context.moveTo(last.x, last.y);
  context.lineTo(to.x, to.y + 0.01);
  context.stroke();
  last = to;
  draw();
};

document.addEventListener("pointerdown", (event) => {
  if (event.target.id !== "painter-canvas" || event.button) return;
  event.target.setPointerCapture(event.pointerId);
  last = at(event);
  stroke(last);
});
document.addEventListener("pointermove", (event) => last && stroke(at(event)));
for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => (last = null));

/** As large as the picture, in the way the model reads it: white on black, or a hole in white. */
const finished = () => {
  const mask = document.createElement("canvas");
  mask.width = Number(order.width);
  mask.height = Number(order.height);
  const context = mask.getContext("2d");
  const strokes = document.createElement("canvas");
  strokes.width = painted.width;
  strokes.height = painted.height;
  const white = strokes.getContext("2d");
  white.drawImage(painted, 0, 0);
  white.globalCompositeOperation = "source-in";
  white.fillStyle = "#fff";
  white.fillRect(0, 0, strokes.width, strokes.height);
  context.fillStyle = order.marks === "white" ? "#000" : "#fff";
  context.fillRect(0, 0, mask.width, mask.height);
  if (order.marks !== "white") context.globalCompositeOperation = "destination-out";
  context.drawImage(strokes, 0, 0, mask.width, mask.height);
  return new Promise((done) => mask.toBlob(done, "image/png"));
};

document.addEventListener("click", async ({ target }) => {
  const opener = target.closest("[data-paints]");
  if (opener) return open(opener);
  const button = target.closest("[data-painter]");
  if (!button) return;
  if (button.dataset.painter === "erase") setErases(!erases);
  else if (button.dataset.painter === "clear") {
    painted.getContext("2d").clearRect(0, 0, painted.width, painted.height);
    draw();
  } else {
    const mask = await finished();
    one("#painter").close();
    put(one("#ask-mask-file"), [new File([mask], "painted mask.png", { type: "image/png" })]);
  }
});
