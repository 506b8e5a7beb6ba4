// Looks at the page of a run while it lasts, in Chromium, and prints a line for each thing that is not as it should be.
//
// The only argument is the address of the page. The run ends by itself.
"use strict";
const path = require("path");
const library = (name, file) => path.join(process.env.LIBRARIES, name, "node_modules", name, file);
const { chromium } = require(library("playwright-core", "index.js"));

// How long anything may take, in milliseconds.
const PATIENCE = 30000;

async function main() {
  const [address] = process.argv.slice(2);
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  const problems = [];
  const opened = async (javaScriptEnabled) => {
    const wrong = (what) => problems.push(`${javaScriptEnabled ? "with" : "without"} script: ${what}`);
    const context = await browser.newContext({ javaScriptEnabled });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    page.on("console", (said) => said.type() === "error" && wrong(`console: ${said.text()}`));
    page.on("pageerror", (error) => wrong(`error: ${error}`));
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(address) && !url.startsWith("data:")) wrong(`asks for ${url}`);
    });
    await page.goto(address);
    return { page, wrong };
  };

  const plain = await opened(false);
  const head = await plain.page.textContent("h1");
  if (!/connections open after/.test(head)) plain.wrong(`"${head}" says nothing of connections`);
  if (!/loaded again/.test(await plain.page.textContent("#live"))) plain.wrong("does not say that it is loaded again");
  // Loaded again by itself.
  await plain.page.waitForFunction((head) => document.querySelector("h1").textContent !== head, head)
    .catch(() => plain.page.waitForEvent("load"));
  const later = await plain.page.textContent("h1");
  if (later === head) plain.wrong("is not loaded again");
  await plain.page.context().close();

  const { page, wrong } = await opened(true);
  const text = (selector) => page.textContent(selector);
  const changes = (selector, from) =>
    page.waitForFunction(([selector, from]) => document.querySelector(selector).textContent !== from, [selector, from]);
  await page.waitForSelector("#live[data-tone=live]");
  // What the reader does stays when the page is brought up to date.
  await page.waitForFunction(() => document.querySelectorAll("#live-charts tbody tr").length > 9);
  await page.evaluate(() => { window.loadedOnce = true; });
  const numbers = page.locator("#live-charts details").first();
  await numbers.locator("summary").click();
  const plot = page.locator("svg.plot").first();
  await plot.scrollIntoViewIfNeeded();
  const box = await plot.boundingBox();
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * 0.2, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.7, y, { steps: 5 });
  await page.mouse.up();
  if (await page.locator("figure[data-zoomed]").count() < 2) wrong("charts of time do not zoom together");
  const before = await text("h1");
  await changes("h1", before);
  await changes("#live-charts tbody tr:last-child", await text("#live-charts tbody tr:last-child"));
  if (!(await page.evaluate(() => window.loadedOnce))) wrong("was loaded again, not brought up to date");
  if (!(await numbers.evaluate((details) => details.open))) wrong("folds what was unfolded");
  if (await page.locator("figure[data-zoomed]").count() < 2) wrong("forgets what was zoomed into");
  await page.reload();
  await page.waitForSelector("#live[data-tone=live]");
  const reloaded = await text("h1");
  await changes("h1", reloaded);
  // To the end.
  await page.waitForSelector("main[data-over]");
  if (!/^Reached/.test((await text("h1")).trim())) wrong(`ends with "${await text("h1")}"`);
  if (!/It is over/.test(await text("#live"))) wrong("does not say that it is over");
  // It stays as it is once the server has gone.
  await page.waitForTimeout(1500);
  if (!/It is over/.test(await text("#live"))) wrong("forgets that it is over");
  await browser.close();
  for (const problem of problems) console.log(problem);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
