// What a person opened or paused stays so, whoever draws that part of the page again.

/** `button[data-pauses="list-id"]` holds a list still while somebody reads it; resuming fetches what it missed. */
const pause = (button) => {
  const list = document.getElementById(button.dataset.pauses);
  const paused = button.getAttribute("aria-pressed") !== "true";
  // The library leaves alone what carries this: neither the stream nor a fetch of the whole page moves it.
  for (const part of [list, button]) part.toggleAttribute("hx-morph-skip", paused);
  button.setAttribute("aria-pressed", String(paused));
  if (paused) return;
  htmx.ajax("GET", location.href, { source: list, target: list, select: `#${list.id}`, swap: "outerMorph" });
};

const keepOpen = ({ detail }) => {
  const open = [...document.querySelectorAll("details[id][open]")].map((each) => each.id);
  for (const { fragment } of detail.tasks) {
    for (const id of open) fragment.querySelector(`[id="${CSS.escape(id)}"]`)?.setAttribute("open", "");
  }
};

export const keepWhatIsOpen = () => {
  document.addEventListener("htmx:before:swap", keepOpen);
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-pauses]");
    if (button) pause(button);
  });
};
