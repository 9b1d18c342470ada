// Tables sort by the column whose head is pressed.
for (const table of document.querySelectorAll("table.data")) {
  for (const [place, head] of [...table.querySelectorAll("thead th")].entries()) {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      const key = (row) => row.cells[place].dataset.value ?? row.cells[place].textContent.trim();
      const compare = (a, b) => {
        const [x, y] = [key(a), key(b)];
        return isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      };
      const rows = [...table.tBodies[0].rows].sort((a, b) => (down ? compare(b, a) : compare(a, b)));
      for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      table.tBodies[0].append(...rows);
    });
  }
}
// Documents or bytes, linear or logarithmic: classes of the page that its style goes by.
for (const choice of document.querySelectorAll("[data-class]")) {
  choice.addEventListener("change", () => document.body.classList.toggle(choice.dataset.class, choice.checked));
}
