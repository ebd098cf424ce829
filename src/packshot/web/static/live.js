// The live stream in the page. htmx carries it (reconnecting, Last-Event-ID, morphing); this file shows how it
// stands, puts new things in their place and fetches the page again when too much was missed.
import { writeAges } from "./ages.js";
import { say } from "./toasts.js";

const SHOW_LOSS_AFTER_MS = 5000;
const CLOSE_WHEN_HIDDEN_MS = 60000;
const REFETCH_AT_MOST_EVERY_MS = 2000;

const one = (selector) => document.querySelector(selector);

export const followStream = (stream) => {
  if (!stream) return;
  showState(stream);
  refuseToSpend();
  placeWhatArrives();
  tellMyResults(stream);
  stream.addEventListener("resync", refetch);
  closeWhenHidden();
};

/* -- how the connection stands: a pill at once, a banner when it lasts -------------------------- */

const showState = (stream) => {
  const pill = one(".live");
  let lostAt = null;
  let banner = 0;
  let failures = 0;

  const stands = (state, words) => {
    pill.dataset.state = state;
    pill.firstElementChild.textContent = words;
    document.documentElement.dataset.stream = state;
    holdSpending();
  };
  const found = () => {
    lostAt = null;
    failures = 0;
    clearTimeout(banner);
    one("#lost").hidden = true;
    stands("live", "Live");
  };
  const lost = () => {
    if (lostAt) return;
    lostAt = new Date();
    stands("lost", "Reconnecting");
    banner = setTimeout(() => {
      const time = lostAt.toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
      one("[data-lost-at]").textContent = `Connection lost at ${time}.`;
      one("#lost").hidden = false;
    }, SHOW_LOSS_AFTER_MS);
  };
  // A stream that is refused is a session that has ended: the page itself says where to go.
  const refused = (status) => status === 401 && (location.reload(), true);

  stream.addEventListener("htmx:sse:after:connection", found);
  stream.addEventListener("htmx:sse:after:message", () => {
    for (const pulse of pill.getAnimations({ subtree: true })) if (pulse.playState === "finished") pulse.play();
  });
  stream.addEventListener("htmx:sse:before:connection", ({ detail }) => detail.connection.attempt > 0 && lost());
  stream.addEventListener("htmx:sse:error", ({ detail }) => {
    lost();
    refused(detail.status);
  });
  // The very first connection is an ordinary request: it is not tried again by itself.
  const again = () => {
    failures += 1;
    setTimeout(() => stream.dispatchEvent(new Event("again")), Math.min(500 * 2 ** failures, 5000));
  };
  stream.addEventListener("htmx:error", () => {
    lost();
    if (!stream._htmx?.sse) again();
  });
  stream.addEventListener("htmx:response:error", ({ detail }) => {
    lost();
    if (!refused(detail.ctx.response.status)) again();
  });
  addEventListener("offline", lost);
  addEventListener("online", () => stream._htmx?.sse?.reader && found());
  one("[data-retry]").addEventListener("click", () => stream._htmx?.sse?.delayCanceller?.());
};

/* Without the stream nobody knows what things cost or whether they run: what spends money is dead until then. */
const lostNow = () => document.documentElement.dataset.stream === "lost";

const holdSpending = () => {
  for (const button of document.querySelectorAll("[data-spends]")) {
    if (lostNow()) button.setAttribute("aria-disabled", "true");
    else if (!button.hasAttribute("data-off")) button.removeAttribute("aria-disabled");
  }
};

const refuseToSpend = () => {
  const refuse = (event) => {
    const part = event.type === "submit" ? event.submitter : event.target.closest("[data-spends]");
    if (!part?.matches("[data-spends]") || !lostNow()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    say("Connection lost. Nothing was sent.", "warn");
  };
  for (const name of ["click", "submit"]) document.addEventListener(name, refuse, true);
  document.addEventListener("htmx:after:swap", holdSpending);
};

/* -- what arrives -------------------------------------------------------------------------------- */

// Every fragment morphs the element with its id. One that is not here yet is new for the list that it names: it
// takes its place there, or waits behind "3 newer" where somebody is reading. Ids are made in order of time, so
// the newest stands first whatever order they come in.
const LEAVES_AFTER_MS = 5000;
const TOP_PX = 120;

const matches = (element, list) => {
  const wanted = list.dataset.match;
  if (!wanted) return true;
  if (wanted === "unknown") return null; // a search in words: only the server can say
  return Object.entries(JSON.parse(wanted)).every(([name, value]) => element.dataset[name] === value);
};

const beingRead = (list) =>
  scrollY > TOP_PX || list.matches(":hover, :focus-within") || Boolean(list.querySelector(".check:checked, .open, .current"));

const place = (fresh, list) => {
  const older = [...list.children].find((each) => !each.id || each.id < fresh.id);
  const keeps = Number(list.dataset.keeps);
  if (!older && list.children.length >= keeps) return false; // older than the page: not of this list
  list.insertBefore(fresh, older ?? null);
  while (list.children.length > keeps) list.lastElementChild.remove();
  htmx.process(fresh);
  return fresh.isConnected;
};

const waiting = new Set();
const holdBack = (fresh, list) => {
  // Older than what is on the page: it belongs to a later one.
  const last = list.lastElementChild;
  if (last?.id && fresh.id < last.id && list.children.length >= Number(list.dataset.keeps)) return;
  waiting.add(fresh.id);
  const button = one("#newer");
  if (!button) return;
  button.hidden = false;
  button.querySelector("[data-count]").textContent = waiting.size;
  const noun = button.querySelector("[data-one]");
  noun.textContent = waiting.size === 1 ? noun.dataset.one : noun.dataset.more;
};

/** Put a new thing where it belongs. Whether it is to be seen now. */
const take = (fresh, list) => {
  const fits = matches(fresh, list);
  if (fits === false) return false;
  if (list.dataset.newest === "wait" && (fits === null || beingRead(list))) return holdBack(fresh, list), false;
  return place(fresh, list);
};

const flash = (element) => {
  element.classList.add("changed");
  setTimeout(() => element.classList.remove("changed"), 1700);
};

const land = (thumb) => {
  const image = thumb.querySelector("img");
  // Shown once it can be painted whole, not line by line.
  image?.decode().then(() => thumb.classList.add("landing"), () => {});
};

/* A row that no longer belongs to the filter stays long enough to be seen ending, then goes. */
const leaveSoon = (element, list) => {
  if (matches(element, list) !== false) return;
  setTimeout(() => {
    if (!element.isConnected || matches(element, list) !== false) return;
    if (element.matches(":hover, :focus-within, .open, [aria-selected=true]")) return leaveSoon(element, list);
    element.classList.add("leaving");
    setTimeout(() => element.isConnected && element.classList.contains("leaving") && element.remove(), 300);
  }, LEAVES_AFTER_MS);
};

const placeWhatArrives = () => {
  document.addEventListener("htmx:before:swap", ({ detail }) => {
    const moved = [];
    for (const task of detail.tasks) {
      const fresh = task.fragment.firstElementChild;
      if (task.type !== "partial" || !fresh?.dataset.list) continue;
      const list = document.getElementById(fresh.dataset.list);
      // By id and not by htmx's own look-up: an earlier fragment of this frame may have just put it here.
      const here = document.getElementById(fresh.id);
      if (!here) {
        if (list) take(fresh, list) && moved.push(fresh.id);
        else if (one(`[data-stands-for~="${CSS.escape(fresh.dataset.list)}"]`)) refetch();
        continue;
      }
      task.target = here;
      if (here.dataset.status !== fresh.dataset.status || (fresh.querySelector("img") && !here.querySelector("img"))) {
        moved.push(fresh.id);
      }
      for (const name of ["open", "current"]) if (here.classList.contains(name)) fresh.classList.add(name);
      for (const name of ["aria-selected", "aria-current"]) {
        if (here.hasAttribute(name)) fresh.setAttribute(name, here.getAttribute(name));
      }
    }
    queueMicrotask(() => {
      writeAges();
      for (const id of moved) {
        const element = document.getElementById(id);
        if (!element) continue;
        if (element.matches("tr")) flash(element);
        else element.querySelectorAll(".thumb").forEach(land);
        const list = document.getElementById(element.dataset.list);
        if (list) leaveSoon(element, list);
      }
    });
  });
  document.addEventListener("click", ({ target }) => {
    if (!target.closest("#newer")) return;
    scrollTo({ top: 0 });
    refetch();
  });
};

/* -- what I asked for, ended ----------------------------------------------------------------------- */

// The server tells everybody which requests have ended; only the tab that asked says so.
const MINE = "packshot:asked";
const asked = () => JSON.parse(sessionStorage.getItem(MINE) ?? "[]");
const remember = (keys) => sessionStorage.setItem(MINE, JSON.stringify(keys.slice(-50)));

const rememberAsked = () => {
  const fresh = [...document.querySelectorAll("#toasts [data-asked]")].flatMap((toast) => toast.dataset.asked.split(" "));
  if (fresh.length) remember([...new Set([...asked(), ...fresh])]);
};

const tellMyResults = (stream) => {
  rememberAsked();
  document.addEventListener("htmx:after:swap", rememberAsked);
  stream.addEventListener("ended", ({ detail }) => {
    const mine = asked();
    for (const each of JSON.parse(detail.data)) if (mine.includes(each.key)) say(each.words, each.tone);
    const ended = new Set(JSON.parse(detail.data).map((each) => each.key));
    remember(mine.filter((key) => !ended.has(key)));
  });
};

/* -- too much missed: the page fetches itself ------------------------------------------------------ */

let fetching = 0;
let fetchedAt = 0;
/** Draw the page again from the server: what is typed, open and chosen stays. */
const refetch = () => {
  if (fetching) return;
  fetching = setTimeout(async () => {
    fetching = 0;
    fetchedAt = Date.now();
    await htmx.ajax("GET", location.href, { source: "#page", target: "#page", select: "#page", swap: "outerMorph" });
    waiting.clear();
    const newer = one("#newer");
    if (newer) newer.hidden = true;
  }, Math.max(0, fetchedAt + REFETCH_AT_MOST_EVERY_MS - Date.now()));
};

/* -- a hidden tab ---------------------------------------------------------------------------------- */

// htmx lets go of the stream the moment a tab is hidden. Switching to another tab for a second should not cost a
// connection, so it hears of it only after a minute.
const closeWhenHidden = () => {
  let timer = 0;
  let telling = false;
  document.addEventListener("visibilitychange", (event) => {
    if (telling) return;
    clearTimeout(timer);
    if (!document.hidden) return;
    event.stopImmediatePropagation();
    timer = setTimeout(() => {
      telling = true;
      document.dispatchEvent(new Event("visibilitychange"));
      telling = false;
    }, CLOSE_WHEN_HIDDEN_MS);
  }, true);
};
