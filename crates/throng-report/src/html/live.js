// Brings the page of a run up to date while it lasts: the server sends the parts that have changed. What the reader has
// unfolded, zoomed into or scrolled to stays.
"use strict";

// How long to wait before asking again, in milliseconds, where the server refused.
const LATER = 5000;
const LIVE = "Live: this page is brought up to date as the run goes on.";
// What is the reader's or the script's, and stays when an element changes.
const KEPT = new Set(["open", "tabindex", "aria-keyshortcuts", "data-zoomed"]);

const main = document.querySelector("main");
const said = document.getElementById("live");
const { run } = main.dataset;
let version = Number(main.dataset.version);

const say = (text, tone) => {
  said.dataset.tone = tone;
  if (said.textContent !== text) said.textContent = text;
};

const isKept = (node) => node instanceof Element && "own" in node.dataset;

// Makes the node `old` what `now` is, and changes no more of it than differs.
const renew = (old, now) => {
  if (old.nodeName !== now.nodeName) return old.replaceWith(now);
  if (!(old instanceof Element)) {
    if (old.data !== now.data) old.data = now.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!now.hasAttribute(name) && !KEPT.has(name)) old.removeAttribute(name);
  }
  for (const { name, value } of now.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const before = [...old.childNodes].filter((node) => !isKept(node));
  const after = [...now.childNodes];
  after.forEach((node, n) => {
    if (n < before.length) renew(before[n], node);
    else old.append(node);
  });
  before.slice(after.length).forEach((node) => node.remove());
};

const element = (html) => {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
};

// Makes the parts in `place` these, in this order.
const renewAll = (place, parts) => {
  const within = document.getElementById(place);
  parts.forEach(([id, html], n) => {
    const old = document.getElementById(id);
    let part = old;
    if (html !== null) {
      part = element(html);
      if (old && old.nodeName === part.nodeName) {
        renew(old, part);
        part = old;
      }
    }
    if (part && within.children[n] !== part) within.insertBefore(part, within.children[n] ?? null);
  });
  while (within.children.length > parts.length) within.lastElementChild.remove();
};

const follow = () => {
  const source = new EventSource(`events?run=${encodeURIComponent(run)}&from=${version}`);
  source.addEventListener("message", (event) => {
    const news = JSON.parse(event.data);
    // Another run has the address by now.
    if (news.run !== run) {
      source.close();
      location.reload();
      return;
    }
    version = news.version;
    document.title = news.title;
    for (const [place, parts] of news.places) renewAll(place, parts);
    enliven(main);
    main.dataset.version = version;
    if (news.over) {
      source.close();
      main.dataset.over = "";
      say("It is over, and this is its result. The page is no longer served: a copy of it is what --report FILE writes.", "over");
    } else {
      say(LIVE, "live");
    }
  });
  source.addEventListener("open", () => say(LIVE, "live"));
  source.addEventListener("error", () => {
    if ("over" in main.dataset) return;
    if (source.readyState === EventSource.CLOSED) {
      say("This page is not brought up to date at the moment: too many others look at it, or it may no longer be seen.", "lost");
      setTimeout(follow, LATER);
    } else if (said.dataset.tone !== "lost") {
      const time = new Date().toLocaleTimeString();
      say(`No connection to the run since ${time}: it may have ended. This is the last that is known of it.`, "lost");
    }
  });
};

// The token is in a cookie by now. In the address it would be passed on with it.
if (location.search !== "") history.replaceState(null, "", location.pathname);
if (!("over" in main.dataset)) {
  say("Connecting to the run …", "live");
  follow();
}
