// A chart as a file: its picture as PNG, or its table as CSV. Loaded when somebody asks for one.
const KEPT = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin",
  "display", "opacity", "font-family", "font-size", "font-weight", "text-anchor", "dominant-baseline", "paint-order",
];
const SHARPER = 2;

export const save = async (button) => {
  const figure = button.closest(".figure");
  const name = `packshot-${figure.id}`;
  if (button.dataset.saves === "csv") return offer(new Blob([csv(figure)], { type: "text/csv" }), `${name}.csv`);
  offer(await png(figure.querySelector("svg.chart")), `${name}.png`);
};

const offer = (blob, name) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
};

/* A cell that a spreadsheet could take for a formula is text. */
const cell = (text) => {
  const plain = text.trim().replace(/\s+/g, " ");
  const safe = /^[=+\-@＝＋－＠]/.test(plain) && !/^-?[\d.,]+%?$/.test(plain) ? `'${plain}` : plain;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

const csv = (figure) =>
  [...figure.querySelectorAll("tr")].map((row) => [...row.cells].map((each) => cell(each.textContent)).join(",")).join("\r\n") + "\r\n";

/* Drawn as it stands, in the colours of the theme: what the style sheet says is written into a copy. */
const png = async (svg) => {
  const { width, height } = svg.getBoundingClientRect();
  const copy = svg.cloneNode(true);
  const originals = [svg, ...svg.querySelectorAll("*")];
  const copies = [copy, ...copy.querySelectorAll("*")];
  originals.forEach((original, place) => {
    const style = getComputedStyle(original);
    for (const name of KEPT) copies[place].setAttribute(name, style.getPropertyValue(name));
  });
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const source = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * SHARPER);
  canvas.height = Math.round(height * SHARPER);
  const pen = canvas.getContext("2d");
  pen.fillStyle = getComputedStyle(svg.closest(".card, main") ?? document.body).backgroundColor;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.scale(SHARPER, SHARPER);
  pen.drawImage(image, 0, 0, width, height);
  URL.revokeObjectURL(source);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
};
