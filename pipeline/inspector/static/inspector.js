// What the inspector's pages can do beyond links and forms. Without this file every page still works.
"use strict";

// A form marked data-live shows its answer in place: the parts marked data-part are exchanged, the address follows.
let asked = 0;

function address(form) {
  const query = new URLSearchParams();
  for (const field of form.elements) {
    if (!field.name || field.disabled) continue;
    const standard = field.dataset.default ?? field.dataset.now;
    const plain = field.type !== "hidden" && standard === undefined && field.value === "";
    if (plain || (standard !== undefined && field.value === standard)) continue;
    query.append(field.name, field.value);
  }
  return `${form.getAttribute("action")}?${query}`;
}

async function show(form) {
  const turn = ++asked;
  const url = address(form);
  document.body.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url);
    const text = await answer.text();
    if (turn !== asked) return;
    const page = new DOMParser().parseFromString(text, "text/html");
    if (!answer.ok) {
      const part = document.querySelector("[data-part]:last-of-type") ?? form;
      const said = document.createElement("p");
      said.className = "note wrong";
      said.setAttribute("role", "alert");
      said.textContent = page.querySelector("main p")?.textContent ?? `error ${answer.status}`;
      document.querySelectorAll(".wrong").forEach((old) => old.remove());
      form.append(said);
      return;
    }
    document.querySelectorAll(".wrong").forEach((old) => old.remove());
    const end = document.activeElement?.closest?.(".handle")?.dataset.end;
    for (const part of document.querySelectorAll("[data-part]")) {
      const next = page.getElementById(part.id);
      if (next) {
        if (part.open) next.open = true;
        part.replaceWith(document.adoptNode(next));
      }
    }
    if (end) document.querySelector(`.handle[data-end="${end}"]`)?.focus();
    history.replaceState(null, "", url);
    prepare();
  } finally {
    if (turn === asked) document.body.removeAttribute("aria-busy");
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-live]");
  if (!form) return;
  event.preventDefault();
  show(form);
});
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-live]");
  if (!form) return;
  if (event.target.name === "language") return location.assign(address(form)); // the fields are then of other bounds
  event.target.classList.toggle("changed", "default" in event.target.dataset && event.target.value !== event.target.dataset.default);
  show(form);
});

// Bounds that can be dragged, or moved with the arrow keys.
const WIDTH = 960;

function scale(plot) {
  const low = Number(plot.dataset.low);
  const high = Number(plot.dataset.high);
  const to = plot.dataset.log === "true" ? Math.log1p : (value) => value;
  const from = plot.dataset.log === "true" ? Math.expm1 : (value) => value;
  return {
    place: (value) => (WIDTH * (to(Math.min(Math.max(value, low), high)) - to(low))) / (to(high) - to(low)),
    value: (place) => from(to(low) + (Math.min(Math.max(place, 0), WIDTH) / WIDTH) * (to(high) - to(low))),
  };
}

function rounded(plot, value, fine) {
  if (plot.dataset.whole === "true") return value < 100 ? Math.round(value) : Number(value.toPrecision(3));
  const span = Number(plot.dataset.high) - Number(plot.dataset.low);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(span)) + (fine ? 1 : 0));
  return Number(value.toFixed(Math.min(digits, 10)));
}

function below(bins, value) {
  // Documents below a value, evenly spread inside its bin: what is shown while a bound moves.
  let sum = 0;
  for (let i = 0; i < bins.counts.length; i++) {
    const low = i === 0 ? -Infinity : bins.edges[i - 1];
    const high = i === bins.edges.length ? Infinity : bins.edges[i];
    if (high <= value) sum += bins.counts[i];
    else {
      if (low < value && Number.isFinite(low) && Number.isFinite(high)) sum += (bins.counts[i] * (value - low)) / (high - low);
      break;
    }
  }
  return sum;
}

function move(handle, value) {
  const plot = handle.ownerSVGElement;
  const end = handle.dataset.end;
  const place = scale(plot).place(value);
  handle.classList.remove("open");
  handle.setAttribute("transform", `translate(${place} 0)`);
  handle.setAttribute("aria-valuenow", value);
  handle.setAttribute("aria-valuetext", value);
  handle.querySelector(".value").textContent = `${end} ${Number(value).toLocaleString("en", { maximumSignificantDigits: 4 })}`;
  const side = plot.querySelector(`.dropped-side[data-side="${end}"]`);
  if (side) {
    if (end === "max") side.setAttribute("x", place);
    side.setAttribute("width", end === "min" ? place : WIDTH - place);
  }
  document.getElementById(`bound-${end}`).value = value;
  const bins = JSON.parse(document.getElementById("bins").textContent);
  const low = document.getElementById("bound-min").value;
  const high = document.getElementById("bound-max").value;
  const all = bins.counts.reduce((sum, count) => sum + count, 0);
  const gone = (low === "" ? 0 : below(bins, Number(low))) + (high === "" ? 0 : all - below(bins, Number(high)));
  document.getElementById("then").textContent = `about ${Math.round(gone).toLocaleString("en")}`;
}

function settle() {
  show(document.querySelector("form.bounds"));
}

let waiting = 0;

function prepare() {
  for (const handle of document.querySelectorAll(".handle")) {
    if (handle.dataset.ready) continue;
    handle.dataset.ready = "true";
    const plot = handle.ownerSVGElement;
    const at = (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse());
      return rounded(plot, scale(plot).value(point.x));
    };
    let moved = false;
    handle.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      handle.focus();
      handle.setPointerCapture(event.pointerId);
      moved = false;
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      moved = true;
      move(handle, at(event));
    });
    handle.addEventListener("pointerup", () => moved && settle());
    handle.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
      if (steps === undefined) return;
      event.preventDefault();
      const now = Number(document.getElementById(`bound-${handle.dataset.end}`).value || handle.getAttribute("aria-valuenow"));
      const axis = scale(plot);
      let next = rounded(plot, axis.value(axis.place(now) + (steps * WIDTH) / 200), true);
      if (plot.dataset.whole === "true" && next === now) next = now + Math.sign(steps);
      move(handle, Math.min(Math.max(next, Number(plot.dataset.low)), Number(plot.dataset.high)));
      clearTimeout(waiting);
      waiting = setTimeout(settle, 400);
    });
  }
  for (const head of document.querySelectorAll("table.data thead th")) {
    if (head.querySelector("button")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
  }
}

// Tables sort by the column whose head is pressed.
document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const source = document.getElementById(copy.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      copy.textContent = "Selected: copy it";
    }
    return;
  }
  const head = event.target.closest("table.data thead th");
  if (!head) return;
  const table = head.closest("table");
  const column = [...head.parentNode.children].indexOf(head);
  const down = head.getAttribute("aria-sort") !== "descending";
  const value = (row) => row.children[column].dataset.value ?? row.children[column].textContent;
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "–" || y === "–") return x === y ? 0 : x === "–" ? -1 : 1;
    return Number.isNaN(Number(x)) || Number.isNaN(Number(y)) ? x.localeCompare(y) : Number(x) - Number(y);
  };
  const rows = [...table.tBodies[0].rows].sort((a, b) => (down ? compare(b, a) : compare(a, b)));
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  table.tBodies[0].append(...rows);
});

// Samples: j and k go to the next and the last one.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const step = { j: 1, k: -1 }[event.key];
  const samples = [...document.querySelectorAll("article.sample")];
  if (!step || !samples.length) return;
  const here = samples.indexOf(document.activeElement?.closest("article.sample"));
  const next = samples[Math.min(Math.max(here + step, 0), samples.length - 1)];
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "start" });
});

prepare();
