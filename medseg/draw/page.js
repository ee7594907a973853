"use strict";
// Tables sort by a click on a heading, or Enter on it; n and p go to the next and the previous part of the page.
const cellText = (row, at) => (row.cells[at] ? row.cells[at].textContent.trim() : "");
const asNumber = (text) => {
  const found = text.replace(/,/g, "").match(/^[-−+]?\d+(\.\d+)?/);
  return found ? Number(found[0].replace("−", "-")) : null;
};
const compare = (a, b) => {
  const [x, y] = [asNumber(a), asNumber(b)];
  if (x !== null && y !== null) return x - y;
  if (x !== null || y !== null) return x !== null ? -1 : 1;
  return a.localeCompare(b, undefined, { numeric: true });
};
const sortBy = (table, head, at) => {
  const up = head.getAttribute("aria-sort") !== "ascending";
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const rows = [...table.rows].slice(1);
  rows.sort((a, b) => (up ? 1 : -1) * compare(cellText(a, at), cellText(b, at)));
  rows[0].parentElement.append(...rows);
};
for (const table of document.querySelectorAll("table")) {
  const heads = table.rows.length > 2 ? [...table.rows[0].cells] : [];
  if (!heads.length || heads.some((one) => one.tagName !== "TH") || table.rows[1].cells[0].tagName === "TH") continue;
  heads.forEach((head, at) => {
    if (!head.textContent.trim()) return;
    head.tabIndex = 0;
    head.classList.add("sorts");
    head.addEventListener("click", () => sortBy(table, head, at));
    head.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        sortBy(table, head, at);
      }
    });
  });
}
const parts = [...document.querySelectorAll("h2[id], section.card[id]")];
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !["n", "p"].includes(event.key)) return;
  const tops = parts.map((part) => part.getBoundingClientRect().top);
  const next = event.key === "n" ? tops.findIndex((top) => top > 8) : tops.findLastIndex((top) => top < -8);
  if (next < 0) return;
  parts[next].tabIndex = -1;
  parts[next].focus({ preventScroll: true });
  parts[next].scrollIntoView();
});
for (const wide of document.querySelectorAll(".wide")) if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => (one.open = true)));
