// Shows a chart's numbers where the pointer is, or where the arrow keys lead. They are those of the chart's own table, so that
// nothing is said here that the page does not have without a script.
"use strict";
for (const chart of document.querySelectorAll("figure.chart")) {
  const plot = chart.querySelector("svg.plot");
  const rows = [...chart.querySelectorAll("tbody tr")];
  if (rows.length === 0) continue;
  const places = rows.map((row) => Number(row.dataset.x));
  const names = [...chart.querySelectorAll("thead th")].map((th) => th.textContent);
  let shown = -1;
  let cursor, readout;

  const hide = () => {
    cursor?.remove();
    readout?.remove();
    cursor = readout = undefined;
    shown = -1;
  };

  const show = (nth) => {
    shown = Math.max(0, Math.min(rows.length - 1, nth));
    if (!cursor) {
      cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
      cursor.setAttribute("class", "cursor");
      cursor.setAttribute("y2", "100%");
      plot.append(cursor);
      readout = document.createElement("div");
      readout.className = "readout";
      readout.setAttribute("role", "status");
      chart.append(readout);
    }
    const at = `${places[shown] * 100}%`;
    cursor.setAttribute("x1", at);
    cursor.setAttribute("x2", at);
    const cells = [...rows[shown].children].map((cell) => cell.textContent);
    readout.replaceChildren();
    const title = document.createElement("b");
    title.textContent = cells[0];
    readout.append(title);
    cells.slice(1).forEach((text, n) => {
      if (text === "") return;
      const line = document.createElement("div");
      line.textContent = `${names[n + 1].split(":")[0]}: ${text}`;
      readout.append(line);
    });
    // Beside the line, on the side that has room.
    const [outer, inner] = [chart.getBoundingClientRect(), plot.getBoundingClientRect()];
    const x = inner.left - outer.left + places[shown] * inner.width;
    const right = x + 10 + readout.offsetWidth <= outer.width;
    readout.style.left = `${Math.max(4, right ? x + 10 : x - 10 - readout.offsetWidth)}px`;
    readout.style.top = `${inner.top - outer.top + 4}px`;
  };

  const nearest = (event) => {
    const box = plot.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width;
    let best = 0;
    places.forEach((place, n) => {
      if (Math.abs(place - at) < Math.abs(places[best] - at)) best = n;
    });
    return best;
  };

  plot.addEventListener("pointermove", (event) => show(nearest(event)));
  plot.addEventListener("pointerdown", (event) => show(nearest(event)));
  plot.addEventListener("pointerleave", hide);
  plot.setAttribute("tabindex", "0");
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: shown - 1, ArrowRight: shown + 1, Home: 0, End: rows.length - 1 };
    if (event.key === "Escape") hide();
    else if (event.key in steps) show(steps[event.key]);
    else return;
    event.preventDefault();
  });
}

// A link to a result that is folded unfolds it.
const unfold = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
};
addEventListener("hashchange", unfold);
unfold();
