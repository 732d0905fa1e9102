// Click a column's title to sort by it; click again to turn the order round.
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, table = head.closest("table"), body = table.tBodies[0];
    const column = [...head.parentElement.children].indexOf(head);
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.children[column].dataset.v;
    const rows = [...body.rows].sort((a, b) => {
      const x = value(a), y = value(b), p = Number(x), q = Number(y);
      if (x === "" || y === "") return (x === "") - (y === "");  // no value: last either way
      const order = Number.isNaN(p) || Number.isNaN(q) ? x.localeCompare(y) : p - q;
      return down ? -order : order;
    });
    body.append(...rows);
  });
}
// A link into folded evidence opens it; printing opens all of it, and closes again what was closed.
const unfold = () => {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let e = place; e; e = e.parentElement) if (e.tagName === "DETAILS" && !e.open) { e.open = true; place.scrollIntoView(); }
};
addEventListener("hashchange", unfold);
unfold();
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const e of closed) e.open = true;
});
addEventListener("afterprint", () => { for (const e of closed) e.open = false; });
