// What a chart does where there is JavaScript: it shows the numbers of its own table where the pointer is, or where the arrow
// keys lead, and zooms into a part of its horizontal axis. The drawing stays the SVG that is there without a script: zooming
// moves the window through which it is seen, and its ticks. So nothing is said here that the page does not have otherwise.
"use strict";

// A rectangle narrower than this, in pixels, is a click that slipped.
const SLIP = 8;
// Labels on the axes of a part, at most, and at least up the vertical one.
const LABELS = 8;
const LEAST_LABELS = 3;
// The least part of the vertical axis.
const LEAST_HEIGHT = 0.04;
// Units of the plane, each way.
const PLANE = 1000;

const percent = (share) => `${(share * 100).toFixed(3)}%`;
const clamped = (share) => Math.min(1, Math.max(0, share));

const svg = (name, attributes, text) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
};

// Elements of the script's own, which a page that is brought up to date keeps.
const own = (element) => {
  element.dataset.own = "";
  return element;
};

// The least and the greatest height, from the bottom, of the lines and dots in `plane` between two places; null if there are none.
const heights = (plane, from, to) => {
  let [least, greatest] = [Infinity, -Infinity];
  for (const path of plane.querySelectorAll(".line, .dots, .spread")) {
    let [x, y] = [0, 0];
    for (const [, command, numbers] of path.getAttribute("d").matchAll(/([MLHVh])([^MLHVh]*)/g)) {
      const [a, b] = numbers.trim().split(" ").map(Number);
      const [beforeX, beforeY] = command === "M" ? [a, b] : [x, y];
      if (command === "M" || command === "L") [x, y] = [a, b];
      else if (command === "H") x = a;
      else if (command === "V") y = a;
      // A segment that is seen in part counts.
      if (Math.max(x, beforeX) < from * PLANE || Math.min(x, beforeX) > to * PLANE) continue;
      for (const height of [1 - y / PLANE, 1 - beforeY / PLANE]) {
        [least, greatest] = [Math.min(least, height), Math.max(greatest, height)];
      }
    }
  }
  return least <= greatest ? [least, greatest] : null;
};

class Zoomable {
  // Values at the ends of the part that is shown; null for all.
  part = null;
  // The row that is shown, or none.
  shown = -1;

  constructor(figure) {
    this.figure = figure;
    this.plot = figure.querySelector("svg.plot");
    this.plane = this.plot.querySelector("svg.plane");
    this.plot.setAttribute("tabindex", "0");
    this.plot.setAttribute("aria-keyshortcuts", "ArrowLeft ArrowRight + - 0 Escape");
    const on = (name, does) => this.plot.addEventListener(name, does);
    on("pointermove", (event) => this.moved(event));
    on("pointerdown", (event) => this.pressed(event));
    on("pointerup", (event) => this.released(event));
    on("pointercancel", () => this.unmark());
    on("pointerleave", () => this.anchor === undefined && this.hide());
    on("dblclick", () => this.zoom(null));
    on("blur", () => this.hide());
    on("keydown", (event) => this.key(event));
  }

  // The horizontal axis: values at its ends, and whether it is logarithmic. A page that is brought up to date changes it.
  axis() {
    const { from, to, scale } = this.plot.dataset;
    return { from: Number(from), to: Number(to), log: scale === "log" };
  }

  value(place) {
    const { from, to, log } = this.axis();
    return log ? from * (to / from) ** place : from + place * (to - from);
  }

  place(value) {
    const { from, to, log } = this.axis();
    return log ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from);
  }

  // The places of the part's ends.
  view() {
    return this.part ? this.part.map((value) => clamped(this.place(value))) : [0, 1];
  }

  // Where a place is, as a share of the width that is seen.
  seen(place) {
    const [from, to] = this.view();
    return (place - from) / (to - from);
  }

  rows() {
    return [...this.figure.querySelectorAll("tbody tr")];
  }

  places() {
    return this.rows().map((row) => Number(row.dataset.x));
  }

  // Shows the part between two values, or all, here and in charts of the same kind of axis beside it.
  zoom(part) {
    const within = this.figure.closest("article, details.result, main") ?? document;
    for (const figure of within.querySelectorAll("figure.chart")) {
      const chart = charts.get(figure);
      if (chart === this || (this.plot.dataset.axis === "time" && chart?.plot.dataset.axis === "time")) {
        chart.part = part;
        chart.draw();
      }
    }
  }

  // Shows the part around `middle`, a place, that is `factor` as wide.
  zoomBy(factor, middle) {
    const [from, to] = this.view();
    const width = (to - from) * factor;
    const left = Math.min(Math.max(0, middle - width / 2), Math.max(0, 1 - width));
    this.zoomTo(left, left + width);
  }

  // Shows the part between two places, if there is anything to be seen in it.
  zoomTo(from, to) {
    if (from <= 0 && to >= 1) return this.zoom(null);
    const inside = this.places().filter((place) => place >= from && place <= to);
    if (inside.length >= 2) this.zoom([this.value(from), this.value(to)]);
  }

  draw() {
    const zoomed = this.part !== null;
    const [from, to] = this.view();
    let [bottom, top] = [0, 1];
    const range = zoomed && !this.figure.classList.contains("hot") && heights(this.plane, from, to);
    if (range) {
      const room = Math.max((range[1] - range[0]) * 0.08, 0.005);
      bottom = this.plane.querySelector(".area") ? 0 : Math.max(0, range[0] - room);
      top = Math.min(1, range[1] + room);
      // A part of the vertical axis has labels.
      const short = Math.max(0, LEAST_HEIGHT - (top - bottom)) / 2;
      bottom = Math.max(0, bottom - short);
      top = Math.min(1, top + short);
    }
    const up = (height) => (height - bottom) / (top - bottom);
    this.figure.toggleAttribute("data-zoomed", zoomed);
    const box = [from, 1 - top, to - from, top - bottom].map((share) => (share * PLANE).toFixed(3));
    this.plane.setAttribute("viewBox", box.join(" "));
    for (const shade of this.plot.querySelectorAll("rect.shaded")) {
      const [left, right] = [shade.dataset.from, shade.dataset.to].map((place) => clamped(this.seen(Number(place))));
      shade.setAttribute("x", percent(left));
      shade.setAttribute("width", percent(right - left));
    }
    for (const level of this.plot.querySelectorAll("line.level")) {
      const height = up(Number(level.dataset.at));
      for (const end of ["y1", "y2"]) level.setAttribute(end, percent(1 - height));
      level.toggleAttribute("data-out", height < 0 || height > 1);
    }
    this.ticks?.remove();
    this.whole?.remove();
    if (zoomed) {
      this.ticks = own(svg("g", { class: "scale" }));
      this.ticksUp(bottom, top, up);
      this.ticksAcross(from, to);
      this.plot.prepend(this.ticks);
      this.whole = own(document.createElement("button"));
      this.whole.className = "whole";
      this.whole.type = "button";
      this.whole.textContent = "Show all";
      this.whole.addEventListener("click", () => {
        this.zoom(null);
        this.plot.focus();
      });
      this.figure.append(this.whole);
    }
    if (this.shown >= 0) this.show(this.shown);
  }

  // Lines and labels up the vertical axis: those of the coarsest list that has enough of them.
  ticksUp(bottom, top, up) {
    let chosen = [];
    for (const list of JSON.parse(this.plot.dataset.ticks ?? "[]")) {
      const inside = list.filter(([place]) => place >= bottom - 1e-6 && place <= top + 1e-6);
      const labels = new Set(inside.map(([, label]) => label));
      if (labels.size === inside.length && inside.length <= LABELS) chosen = inside;
      if (chosen.length >= LEAST_LABELS) break;
    }
    for (const [place, label] of chosen) {
      const y = percent(1 - up(place));
      this.ticks.append(svg("line", { class: "grid", x2: "100%", y1: y, y2: y }));
      this.ticks.append(svg("text", { class: "up", x: -8, y, dy: "0.32em" }, label));
    }
  }

  // Labels along the horizontal axis: those of rows of the table.
  ticksAcross(from, to) {
    const rows = this.rows().filter((row) => row.dataset.x >= from && row.dataset.x <= to);
    const each = Math.max(1, Math.ceil(rows.length / LABELS));
    rows.filter((_, n) => n % each === 0).forEach((row, n) => {
      const x = percent(this.seen(Number(row.dataset.x)));
      const kind = n % 2 === 1 ? "across odd" : "across";
      this.ticks.append(svg("text", { class: kind, x, y: "100%", dy: "1.5em" }, row.firstElementChild.textContent));
    });
  }

  hide() {
    this.cursor?.remove();
    this.readout?.remove();
    this.cursor = this.readout = undefined;
    this.shown = -1;
  }

  // Shows the numbers of a row.
  show(nth) {
    const rows = this.rows();
    if (rows.length === 0) return;
    this.shown = Math.max(0, Math.min(rows.length - 1, nth));
    const row = rows[this.shown];
    const at = this.seen(Number(row.dataset.x));
    if (at < -1e-6 || at > 1 + 1e-6) return this.hide();
    if (!this.cursor) {
      this.cursor = own(svg("line", { class: "cursor", y2: "100%" }));
      this.plot.append(this.cursor);
      this.readout = own(document.createElement("div"));
      this.readout.className = "readout";
      this.readout.setAttribute("role", "status");
      this.figure.append(this.readout);
    }
    for (const end of ["x1", "x2"]) this.cursor.setAttribute(end, percent(at));
    const names = [...this.figure.querySelectorAll("thead th")].map((th) => th.textContent);
    const cells = [...row.children].map((cell) => cell.textContent);
    const title = document.createElement("b");
    title.textContent = cells[0];
    const lines = cells.map((text, n) => {
      const line = document.createElement("div");
      line.textContent = `${names[n].split(":")[0]}: ${text}`;
      return line;
    });
    this.readout.replaceChildren(title, ...lines.filter((_, n) => n > 0 && cells[n] !== ""));
    // Beside the line, on the side that has room.
    const [outer, inner] = [this.figure.getBoundingClientRect(), this.plot.getBoundingClientRect()];
    const x = inner.left - outer.left + at * inner.width;
    const right = x + 10 + this.readout.offsetWidth <= outer.width;
    this.readout.style.left = `${Math.max(4, right ? x + 10 : x - 10 - this.readout.offsetWidth)}px`;
    this.readout.style.top = `${inner.top - outer.top + 4}px`;
  }

  // The place that the pointer is at, and the row nearest to it.
  pointed(event) {
    const box = this.plot.getBoundingClientRect();
    const [from, to] = this.view();
    return from + clamped((event.clientX - box.left) / box.width) * (to - from);
  }

  nearest(place) {
    const places = this.places();
    const closer = (best, at, n) => (Math.abs(at - place) < Math.abs(places[best] - place) ? n : best);
    return places.reduce(closer, 0);
  }

  pressed(event) {
    this.show(this.nearest(this.pointed(event)));
    if (event.button !== 0) return;
    this.anchor = event.clientX;
    this.plot.setPointerCapture(event.pointerId);
  }

  moved(event) {
    this.show(this.nearest(this.pointed(event)));
    if (this.anchor === undefined) return;
    const box = this.plot.getBoundingClientRect();
    const [left, right] = [this.anchor, event.clientX]
      .map((x) => clamped((x - box.left) / box.width))
      .sort((a, b) => a - b);
    if (!this.marked) {
      this.marked = own(svg("rect", { class: "marked", height: "100%" }));
      this.plot.append(this.marked);
    }
    this.marked.setAttribute("x", percent(left));
    this.marked.setAttribute("width", percent(right - left));
  }

  released(event) {
    const { anchor } = this;
    this.unmark();
    if (anchor === undefined || Math.abs(event.clientX - anchor) < SLIP) return;
    const ends = [this.pointed({ clientX: anchor }), this.pointed(event)].sort((a, b) => a - b);
    this.zoomTo(...ends);
  }

  unmark() {
    this.anchor = undefined;
    this.marked?.remove();
    this.marked = undefined;
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const [from, to] = this.view();
    const places = this.places();
    const middle = this.shown >= 0 ? places[this.shown] : (from + to) / 2;
    const last = places.length - 1;
    const first = places.findIndex((place) => place >= from);
    const start = this.shown >= 0 ? this.shown : first - 1;
    const steps = { ArrowLeft: start - 1, ArrowRight: start + 1, Home: 0, End: last };
    if (event.key in steps) {
      const row = Math.max(0, Math.min(last, steps[event.key]));
      // A row outside of the part takes it along.
      const off = places[row] < from ? places[row] - from : Math.max(0, places[row] - to);
      if (off !== 0) this.zoom([this.value(from + off), this.value(to + off)]);
      this.show(row);
    } else if (event.key === "+" || event.key === "=") this.zoomBy(0.5, middle);
    else if (event.key === "-") this.zoomBy(2, middle);
    else if (event.key === "0") this.zoom(null);
    else if (event.key === "Escape" && this.shown >= 0) this.hide();
    else if (event.key === "Escape") this.zoom(null);
    else return;
    event.preventDefault();
  }
}

// The charts of the page, by their figures.
const charts = new WeakMap();

// Has the charts in `root` do all that. Those that do already are drawn again.
const enliven = (root) => {
  for (const figure of root.querySelectorAll("figure.chart")) {
    if (charts.has(figure)) charts.get(figure).draw();
    else charts.set(figure, new Zoomable(figure));
  }
};
enliven(document);

// Paper has all of it.
const all = (does) => {
  const figures = document.querySelectorAll("figure.chart[data-zoomed]");
  for (const figure of figures) does(charts.get(figure));
};
addEventListener("beforeprint", () => {
  all((chart) => {
    chart.before = chart.part;
    chart.part = null;
    chart.draw();
  });
});
addEventListener("afterprint", () => {
  for (const figure of document.querySelectorAll("figure.chart")) {
    const chart = charts.get(figure);
    if (!chart?.before) continue;
    chart.part = chart.before;
    chart.before = null;
    chart.draw();
  }
});

// A link to a result that is folded unfolds it.
const unfold = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
};
addEventListener("hashchange", unfold);
unfold();
