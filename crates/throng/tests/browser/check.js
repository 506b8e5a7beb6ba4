// Looks at pages in Chromium, and prints a line for each thing that is not as it should be.
//
// The only argument is a file of cases, in JSON: for each page its file, texts that must be in elements, and tables of charts.
"use strict";
const fs = require("fs");
const path = require("path");
const { pathToFileURL } = require("url");
const library = (name, file) => path.join(process.env.LIBRARIES, name, "node_modules", name, file);
const { chromium } = require(library("playwright-core", "index.js"));
const AXE = fs.readFileSync(library("axe-core", "axe.min.js"), "utf8");

const WIDTHS = [320, 768, 1280, 1920];

async function main() {
  const cases = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  const problems = [];
  for (const one of cases) {
    const wrong = (what) => problems.push(`${path.basename(one.file)}: ${what}`);
    const drawn = [];
    for (const script of [false, true]) {
      const context = await browser.newContext({ offline: true, javaScriptEnabled: script });
      const page = await context.newPage();
      page.on("console", (said) => said.type() === "error" && wrong(`console: ${said.text()}`));
      page.on("pageerror", (error) => wrong(`error: ${error}`));
      const own = pathToFileURL(one.file).href;
      page.on("request", (request) => {
        const url = request.url();
        if (url !== own && !url.startsWith("data:")) wrong(`asks for ${url}`);
      });
      await page.goto(own);
      drawn.push(await plots(page));
      if (script) {
        await withScript(page, one, wrong);
      } else {
        await readable(page, one, wrong);
      }
      await context.close();
    }
    if (drawn[0].length === 0) wrong("no chart");
    if (drawn[0].join() !== drawn[1].join()) wrong("charts differ with and without script");
  }
  await browser.close();
  for (const problem of problems) console.log(problem);
}

/// What each chart has drawn.
function plots(page) {
  return page.$$eval("svg.plane", (all) => all.map((plane) => plane.innerHTML));
}

/// The texts and the tables, without any script.
async function readable(page, one, wrong) {
  for (const { within, text } of one.texts) {
    const all = await page.$$eval(within, (all) => all.map((element) => element.textContent));
    if (!all.some((content) => content.includes(text))) wrong(`no "${text}" in ${within}`);
  }
  for (const { chart, rows } of one.tables) {
    const found = await page.$$eval("figure.chart", (all, name) => {
      const figure = all.find((figure) => figure.querySelector("h3").textContent === name);
      const rows = figure ? [...figure.querySelectorAll("tbody tr")] : [];
      return rows.map((row) => [...row.children].map((cell) => cell.textContent));
    }, chart);
    const all = found.map((row) => JSON.stringify(row));
    const missing = rows.filter((row) => !all.includes(JSON.stringify(row)));
    if (rows.length === 0 || missing.length > 0) wrong(`the table of ${chart} has ${all}, but not ${missing.join("; ")}`);
  }
  const empty = await page.$$eval("svg.plane", (all) =>
    all.filter((plane) => plane.children.length === 0 || plane.closest(".plot, .strip").getBoundingClientRect().width < 100)
      .length);
  if (empty > 0) wrong(`${empty} charts have nothing drawn`);
}

/// All widths, both schemes, on paper, and what the script adds.
async function withScript(page, one, wrong) {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > width) wrong(`${wide} pixels wide on a screen of ${width}`);
  }
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(AXE);
    const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    for (const { id, impact, nodes } of found.violations) {
      if (["serious", "critical"].includes(impact)) {
        wrong(`axe, ${colorScheme}: ${id} (${impact}): ${nodes[0].html.slice(0, 120)} ${nodes[0].failureSummary}`);
      }
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  const plot = page.locator("svg.plot").first();
  if ((await plot.count()) > 0 && (await plot.isVisible())) {
    await plot.scrollIntoViewIfNeeded();
    const box = await plot.boundingBox();
    await page.mouse.move(box.x + box.width * 0.9, box.y + box.height / 2);
    const [said, rows] = await page.evaluate(() => {
      const readout = document.querySelector(".readout");
      const rows = [...document.querySelector("figure.chart").querySelectorAll("tbody tr")];
      return [readout?.textContent ?? "", rows.map((row) => [...row.children].map((cell) => cell.textContent))];
    });
    const shown = rows.some((cells) => said.startsWith(cells[0]) && cells.every((cell) => said.includes(cell)));
    if (!shown) wrong(`the pointer shows "${said}", which is no row of the table`);
    await page.mouse.move(1, 1);
    if (await page.locator(".readout").count() > 0) wrong("what the pointer showed stays");
    await plot.focus();
    await page.keyboard.press("Home");
    if (await page.locator(".readout").count() !== 1) wrong("the arrow keys show nothing");
    await page.keyboard.press("Escape");
    await zooms(page, plot, wrong);
  }
  const paper = await page.pdf({ format: "A4" });
  if (!paper.subarray(0, 5).equals(Buffer.from("%PDF-")) || paper.length < 10000) wrong("not printed");
}

/// Into a part of a chart and back again, by pointer and by keys.
async function zooms(page, plot, wrong) {
  const figure = page.locator("figure.chart").first();
  if (await figure.locator("tbody tr").count() < 3) return;
  const whole = await plot.evaluate((plot) => [...plot.querySelectorAll("text")].map((text) => text.textContent).join());
  const shown = () => plot.evaluate((plot) => {
    const texts = [...plot.querySelectorAll("text")].filter((text) => text.checkVisibility());
    return texts.map((text) => text.textContent).join();
  });
  const zoomed = async () => await figure.getAttribute("data-zoomed") !== null;
  const box = await plot.boundingBox();
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + 1, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, y, { steps: 4 });
  await page.mouse.up();
  if (!await zoomed()) wrong("the pointer does not zoom");
  const labels = await shown();
  if (labels === whole || labels === "") wrong(`a part is labelled "${labels}"`);
  await page.evaluate(AXE);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const serious = found.violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  for (const { id, nodes } of serious) wrong(`axe, zoomed: ${id}: ${nodes[0].html.slice(0, 120)}`);
  await figure.locator("button.whole").click();
  if (await zoomed() || await shown() !== whole) wrong("all is not shown again");
  await plot.focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("+");
  const byKey = await zoomed();
  await page.keyboard.press("0");
  if (await figure.locator("tbody tr").count() > 6 && !byKey) wrong("the + key does not zoom");
  if (await zoomed()) wrong("the 0 key does not show all");
  await page.keyboard.press("Escape");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
