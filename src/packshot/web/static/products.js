// The list of products: the form that asks for images opens beside it, and the choice ends when they were asked for.
const dialog = document.getElementById("asking");
const chosen = () => document.getElementById("chosen");

/* The server draws the form for what is chosen; when it is here, it is shown. */
document.addEventListener("htmx:after:swap", () => {
  if (dialog?.querySelector("#ask") && dialog.dataset.waits) {
    delete dialog.dataset.waits;
    dialog.showModal();
  }
});

document.addEventListener("htmx:after:request", ({ target, detail }) => {
  const status = detail.ctx?.response?.status;
  if (status !== 200) return;
  if (target.matches("[data-asks]")) dialog.dataset.waits = "yes";
  else if (target.matches("#ask") && dialog?.open) dialog.close();
  else if (!target.matches("[data-chooses]")) return;
  if (!target.matches("[data-asks]")) chosen()?.dispatchEvent(new CustomEvent("rows:clear", { bubbles: true }));
});

dialog?.addEventListener("close", () => document.getElementById("ask-place").replaceChildren());

/* What is shown stands in the address, and nothing that is empty. */
document.addEventListener("htmx:before:request", ({ target }) => {
  if (!target.matches("#product-filters")) return;
  const given = [...new FormData(target)].filter(([, value]) => value);
  const query = new URLSearchParams(given).toString();
  history.replaceState(history.state, "", target.getAttribute("action") + (query ? `?${query}` : ""));
});

/* A filter that is not typed takes effect at once. */
document.addEventListener("change", ({ target }) => target.matches("[data-filters]") && target.form.requestSubmit());
