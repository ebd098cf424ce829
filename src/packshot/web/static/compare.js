// Images beside each other: one zoom and one place for all of them; one over the other, swiped or in turn.
const panes = () => [...document.querySelectorAll(".compare-pane > img")];
const LEVELS = [1, 1.5, 2, 3, 4, 6];

let level = 1;
let at = { x: 0, y: 0 }; // shares of the picture's own width and height, so that every size moves alike

const place = () => {
  const room = (level - 1) / 2;
  at = { x: Math.max(-room, Math.min(room, at.x)), y: Math.max(-room, Math.min(room, at.y)) };
  for (const image of panes()) {
    const move = `translate(${at.x * image.clientWidth}px, ${at.y * image.clientHeight}px) scale(${level})`;
    image.style.setProperty("transform", level === 1 ? "" : move);
  }
  document.querySelector("[data-level]").textContent = `${Math.round(level * 100)}%`;
  document.querySelector(".compare-panes")?.classList.toggle("zoomed", level > 1);
};

const step = (by) => {
  const now = LEVELS.findIndex((each) => each >= level);
  level = LEVELS[Math.max(0, Math.min(LEVELS.length - 1, now + by))];
  place();
};

document.addEventListener("click", ({ target }) => {
  const zoom = target.closest("[data-compares]")?.dataset.compares;
  if (zoom === "in") step(1);
  else if (zoom === "out") step(-1);
  else if (zoom === "fit") ((level = 1), place());
  const blinker = target.closest("[data-blinks]");
  if (blinker) blink(blinker);
});

document.addEventListener("wheel", (event) => {
  if (!event.target.closest(".compare-panes")) return;
  event.preventDefault();
  step(event.deltaY < 0 ? 1 : -1);
}, { passive: false });

document.addEventListener("pointerdown", (event) => {
  const image = event.target;
  if (!image.matches?.(".compare-pane > img") || event.button || level === 1) return;
  const from = { x: event.clientX, y: event.clientY, ...{ began: at } };
  image.setPointerCapture(event.pointerId);
  const move = ({ clientX, clientY }) => {
    at = {
      x: from.began.x + (clientX - from.x) / image.clientWidth,
      y: from.began.y + (clientY - from.y) / image.clientHeight,
    };
    place();
  };
  image.addEventListener("pointermove", move);
  image.addEventListener("pointerup", () => image.removeEventListener("pointermove", move), { once: true });
  image.addEventListener("pointercancel", () => image.removeEventListener("pointermove", move), { once: true });
});

/* -- one over the other ------------------------------------------------------------------------------ */

const swipe = () => {
  const range = document.querySelector("[data-swipes]");
  const over = document.querySelector('.compare-pane[data-letter="A"]');
  if (!range || !over) return;
  over.style.setProperty("clip-path", `inset(0 ${100 - range.value}% 0 0)`);
};

const blink = (button) => {
  const second = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(second));
  button.querySelector("[data-shows-letter]").textContent = second ? "B" : "A";
  document.querySelector('.compare-pane[data-letter="A"]').classList.toggle("away", second);
};

document.addEventListener("input", ({ target }) => target.matches("[data-swipes]") && swipe());
document.querySelector(".zooming")?.removeAttribute("hidden");
swipe();
