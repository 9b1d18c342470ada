// Tables sort by the column whose head is pressed: by the numbers of its cells where they have them.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const section = table.closest("section");
  const key = (row, place) => {
    const cell = row.cells[place], data = cell.dataset;
    return data[section.dataset.shown ?? "documents"] ?? data.value ?? cell.textContent.trim();
  };
  for (const [place, head] of heads.entries()) {
    if (head.querySelector(".unseen")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const x = key(a, place), y = key(b, place);
        const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
        return down ? -order : order;
      });
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      table.tBodies[0].append(...rows);
    });
  }
}

// A switch says in its section what is shown; the style does the rest.
for (const choice of document.querySelectorAll("[data-switch] input")) {
  const show = () => {
    const name = ["heights", "axes"].includes(choice.name) ? choice.name : "shown";
    choice.closest("section").dataset[name] = choice.value;
  };
  choice.addEventListener("change", show);
  if (choice.checked) show();
}

// Light or dark, whatever the system says.
const theme = document.querySelector("[data-theme-switch]");
theme.hidden = false;
theme.addEventListener("change", (event) => {
  if (event.target.value) document.documentElement.dataset.theme = event.target.value;
  else delete document.documentElement.dataset.theme;
});

// The contents mark the section that is read.
const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    for (const link of links.values()) link.removeAttribute("aria-current");
    links.get(entry.target.id)?.setAttribute("aria-current", "true");
  }
}, { rootMargin: "-20% 0px -75% 0px" });
for (const section of document.querySelectorAll("main > section")) seen.observe(section);

// On paper nothing is folded away.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")].filter((part) => part.matches(".sample"));
  for (const part of folded) part.open = true;
});
addEventListener("afterprint", () => { for (const part of folded) part.open = false; });
