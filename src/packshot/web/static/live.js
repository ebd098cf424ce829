// The live stream in the page. htmx carries it (reconnecting, Last-Event-ID, morphing); this file shows how it
// stands, puts new things in their place and fetches the page again when too much was missed.
import { writeAges } from "./ages.js";

const SHOW_LOSS_AFTER_MS = 5000;
const CLOSE_WHEN_HIDDEN_MS = 60000;
const REFETCH_AT_MOST_EVERY_MS = 2000;

const one = (selector) => document.querySelector(selector);

export const followStream = (stream) => {
  if (!stream) return;
  showState(stream);
  placeWhatArrives();
  refetchWhenTold(stream);
  closeWhenHidden();
};

/* -- how the connection stands: a pill at once, a banner when it lasts -------------------------- */

const showState = (stream) => {
  const pill = one(".live");
  let lostAt = null;
  let banner = 0;
  let failures = 0;

  const say = (state, words) => {
    pill.dataset.state = state;
    pill.firstElementChild.textContent = words;
  };
  const found = () => {
    lostAt = null;
    failures = 0;
    clearTimeout(banner);
    one("#lost").hidden = true;
    say("live", "Live");
  };
  const lost = () => {
    if (lostAt) return;
    lostAt = new Date();
    say("lost", "Reconnecting");
    banner = setTimeout(() => {
      const time = lostAt.toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
      one("[data-lost-at]").textContent = `Connection lost at ${time}.`;
      one("#lost").hidden = false;
    }, SHOW_LOSS_AFTER_MS);
  };
  // A stream that is refused is a session that has ended: the page itself says where to go.
  const refused = (status) => status === 401 && (location.reload(), true);

  stream.addEventListener("htmx:sse:after:connection", found);
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

/* -- what arrives -------------------------------------------------------------------------------- */

// Every fragment morphs the element with its id. One that is not here yet is new: it takes its place in the list
// that it names. Ids are made in order of time, so the newest stands first whatever order they come in.
const place = (fresh) => {
  const list = document.getElementById(fresh.dataset.list);
  if (!list) return false;
  const older = [...list.children].find((each) => !each.id || each.id < fresh.id);
  list.insertBefore(fresh, older ?? null);
  while (list.children.length > Number(list.dataset.keeps)) list.lastElementChild.remove();
  htmx.process(fresh);
  return fresh.isConnected;
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

const placeWhatArrives = () => {
  document.addEventListener("htmx:before:swap", ({ detail }) => {
    const moved = [];
    for (const task of detail.tasks) {
      const fresh = task.fragment.firstElementChild;
      if (task.type !== "partial" || !fresh?.dataset.list) continue;
      // By id and not by htmx's own look-up: an earlier fragment of this frame may have just put it here.
      const here = document.getElementById(fresh.id);
      if (!here) {
        if (!document.getElementById(fresh.dataset.list)) document.dispatchEvent(new Event("stream:lost-track"));
        else if (place(fresh)) moved.push(fresh.id);
        continue;
      }
      task.target = here;
      if (here.dataset.status !== fresh.dataset.status || (fresh.querySelector("img") && !here.querySelector("img"))) {
        moved.push(fresh.id);
      }
    }
    queueMicrotask(() => {
      writeAges();
      for (const id of moved) {
        const element = document.getElementById(id);
        if (!element) continue;
        if (element.matches("tr")) flash(element);
        else element.querySelectorAll(".thumb").forEach(land);
      }
    });
  });
};

/* -- too much missed: the page fetches itself ------------------------------------------------------ */

const refetchWhenTold = (stream) => {
  let waiting = 0;
  let last = 0;
  const refetch = () => {
    if (waiting) return;
    waiting = setTimeout(() => {
      waiting = 0;
      last = Date.now();
      htmx.ajax("GET", location.href, { source: "#page", target: "#page", select: "#page", swap: "outerMorph" });
    }, Math.max(0, last + REFETCH_AT_MOST_EVERY_MS - Date.now()));
  };
  stream.addEventListener("resync", refetch);
  document.addEventListener("stream:lost-track", refetch);
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
