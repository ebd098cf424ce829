// Providers across products: the address follows the filter, so that a reload and a link show the same.
document.addEventListener("submit", ({ target }) => {
  if (!target.matches("#across-filters")) return;
  const url = new URL(target.action);
  for (const [name, value] of new FormData(target)) if (value) url.searchParams.append(name, value);
  history.replaceState(history.state, "", url);
});
