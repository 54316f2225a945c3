"use strict";

// ---- tables: a click on a heading sorts by its column, a second one reverses the order ----

/** The value that a cell is sorted by: a number, a text, or null for an empty cell. */
function valueOf(cell) {
  const { number, text } = cell.dataset;
  return number !== undefined ? Number(number) : (text ?? null);
}

/** Compare two values; empty ones come last in either order. */
function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
}

function sortTable(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const ascending = heads[column].getAttribute("aria-sort") !== "ascending";
  for (const head of heads) head.setAttribute("aria-sort", "none");
  heads[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const key = (row) => valueOf(row.cells[column]);
  for (const body of table.tBodies) {
    body.append(...[...body.rows].sort((a, b) => compare(key(a), key(b), ascending ? 1 : -1)));
  }
}

for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.querySelectorAll("button").forEach((button, column) => {
    button.addEventListener("click", () => sortTable(table, column));
    // With the keyboard, the focus may reach a heading that is hidden behind the column of names.
    button.addEventListener("focus", () => {
      if (button.matches(":focus-visible")) button.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
  });
}

// ---- gallery: the images sorted by any metric of any row ----

/** The mean of the values that are not null, or null if there is none. */
function mean(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value) / known.length : null;
}

function format(value) {
  return value === null ? "–" : value.toFixed(Math.abs(value) < 2 ? 3 : 2);
}

function setUp(gallery) {
  const data = JSON.parse(gallery.querySelector("script").textContent);
  const list = gallery.querySelector("ol");
  const images = [...list.children]; // in the order of the values
  const [metric, row, order] = gallery.querySelectorAll("select");
  const status = gallery.querySelector("[role=status]");

  function update() {
    const { direction, values } = data[metric.value];
    const [worst, best] = direction === "none" ? ["highest", "lowest"] : ["worst", "best"];
    order.options[0].text = `${worst} first`;
    order.options[1].text = `${best} first`;
    const rows = row.value === "all" ? values : [values[row.value]];
    const means = images.map((_, index) => mean(rows.map((ofRow) => ofRow[index])));
    const sign = (direction === "up") === (order.value === "worst") ? 1 : -1;
    const indices = [...means.keys()].sort((a, b) => compare(means[a], means[b], sign));
    list.append(...indices.map((index) => images[index]));
    images.forEach((image, index) => {
      const output = image.querySelector("h4 output");
      output.value = row.value === "all" ? `mean ${format(means[index])}` : "";
      for (const tile of image.querySelectorAll("[data-row]")) {
        tile.querySelector("output").value = format(values[tile.dataset.row][index]);
        tile.classList.toggle("chosen", tile.dataset.row === row.value);
      }
    });
    const names = [metric, row, order].map((select) => select.selectedOptions[0].text);
    status.textContent = `Sorted by ${names[0]} of ${names[1]}, ${names[2]}.`;
  }

  for (const select of [metric, row, order]) select.addEventListener("change", update);
  update(); // a browser may have kept other choices after a reload
}

document.querySelectorAll(".gallery").forEach(setUp);
