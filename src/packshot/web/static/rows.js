// Choosing rows of a list: one, a range with Shift, all of the page, or everything that matches the filter.
// The choice is kept by id, so that rows that are morphed, moved or drawn again stay chosen.
const chosen = new WeakMap(); // container -> Set of ids

const listOf = (part) => part.closest("[data-rows]");
const boxes = (list) => [...list.querySelectorAll("[data-row] .check[name]")];

export const keepRows = () => {
  let last = null;
  for (const kind of ["keydown", "pointerdown", "submit"]) document.addEventListener(kind, showBars, true);
  document.addEventListener("click", (event) => {
    const { target, shiftKey } = event;
    const box = target.closest?.("[data-row] .check[name]");
    if (box) {
      const list = listOf(box);
      const all = boxes(list);
      const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
      if (shiftKey && from >= 0) for (const each of all.slice(from, to + 1)) mark(list, each, box.checked);
      last = box;
      mark(list, box, box.checked);
      takeAll(list, false);
      show(list);
      return;
    }
    const list = listOf(target);
    if (!list) return;
    if (target.closest("[data-clear]")) clear(list);
    else if (target.closest("[data-take-all]")) markAll(list, true, true);
    else if (target.matches(".check[data-all]")) markAll(list, target.checked, false);
  });
  // What the stream or an answer drew is chosen as it was.
  document.addEventListener("htmx:after:swap", () => document.querySelectorAll("[data-rows]").forEach(restore));
  document.addEventListener("rows:clear", ({ target }) => target.matches?.("[data-rows]") && clear(target));
  for (const list of document.querySelectorAll("[data-rows]")) {
    for (const box of boxes(list)) mark(list, box, box.checked); // a browser that came Back keeps its ticks
    show(list);
  }
};

const idsOf = (list) => {
  if (!chosen.has(list)) chosen.set(list, new Set());
  return chosen.get(list);
};

const mark = (list, box, on) => {
  box.checked = on;
  idsOf(list)[on ? "add" : "delete"](box.value);
  const row = box.closest("[data-row]");
  if (row.matches("tr")) row.setAttribute("aria-selected", String(on)); // a tile is no row to a screen reader
};

const markAll = (list, on, beyond) => {
  for (const each of boxes(list)) mark(list, each, on);
  takeAll(list, beyond);
  show(list);
};

const takeAll = (list, on) => {
  const field = list.querySelector("input[name=all]");
  if (field) field.value = on ? "1" : "";
};

const clear = (list) => {
  for (const each of boxes(list)) mark(list, each, false);
  idsOf(list).clear();
  takeAll(list, false);
  show(list);
};

const restore = (list) => {
  const ids = idsOf(list);
  const there = boxes(list);
  for (const box of there) if (box.checked !== ids.has(box.value)) mark(list, box, ids.has(box.value));
  const here = new Set(there.map((box) => box.value));
  for (const id of ids) if (!here.has(id)) ids.delete(id); // never act on what cannot be seen
  show(list);
};

const show = (list) => {
  // A class, because :has() looks at every row again whenever one of them is chosen.
  for (const box of boxes(list)) box.closest("[data-row]")?.classList.toggle("chosen", box.checked);
  late.add(list);
  requestAnimationFrame(() => setTimeout(showBars));
};

/* The row answers a press in the next frame, the bar with its price in the one after it: together they would both be
   late. Whoever presses again meanwhile finds it there. */
const late = new Set();
const showBars = () => {
  for (const list of late) late.delete(list), showBar(list);
};

const showBar = (list) => {
  const there = boxes(list);
  const count = there.filter((box) => box.checked).length;
  const everything = list.querySelector("input[name=all]")?.value === "1";
  const head = list.querySelector(".check[data-all]");
  if (head) {
    head.checked = count > 0 && count === there.length;
    head.indeterminate = count > 0 && count < there.length;
  }
  const bar = list.querySelector(".bulk");
  if (!bar) return;
  bar.hidden = count === 0;
  const { total, more = "" } = bar.querySelector("[data-total]")?.dataset ?? {};
  const number = bar.querySelector("[data-selected]");
  if (number) number.textContent = everything && total ? Number(total).toLocaleString(document.documentElement.lang) + more : count;
  const offer = bar.querySelector("[data-take-all]");
  // Tiles have no box above them that takes the whole page first.
  if (offer) offer.hidden = everything || count === Number(total) || Boolean(head && count < there.length);
  list.dispatchEvent(new CustomEvent("rows:change", { bubbles: true, detail: { count, everything } }));
};
