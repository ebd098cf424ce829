// One box for what a mark of a chart stands for. The words are in the markup; the same values are in its table.
export const showTips = () => {
  const tip = document.getElementById("tip");
  if (!tip) return;
  addEventListener("pointermove", ({ target, clientX, clientY }) => {
    const mark = target.closest?.("[data-tip]");
    tip.classList.toggle("on", Boolean(mark));
    if (!mark) return;
    tip.textContent = mark.dataset.tip;
    const width = tip.offsetWidth;
    const x = clientX + 14 + width > innerWidth ? clientX - width - 14 : clientX + 14;
    tip.style.setProperty("transform", `translate(${Math.max(8, x)}px, ${Math.max(8, clientY - tip.offsetHeight - 10)}px)`);
  }, { passive: true });
};
