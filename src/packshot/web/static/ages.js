// Ages are written here and not on the server: a pushed fragment is shared by people in different zones.
const WRITTEN = "time[data-age]";
const day = new Intl.DateTimeFormat(document.documentElement.lang, { day: "numeric", month: "short" });

const age = (at, now) => {
  const seconds = Math.max(0, Math.floor((now - at) / 1000));
  if (seconds < 5) return "now";
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h`;
  return day.format(at);
};

export const writeAges = (within = document) => {
  const now = Date.now();
  for (const time of within.querySelectorAll(WRITTEN)) {
    const text = age(new Date(time.dateTime), now);
    if (time.textContent !== text) time.textContent = text;
  }
};

/* Times of day, by the clock of this browser. */
const clock = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayAndClock = new Intl.DateTimeFormat(document.documentElement.lang, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

const writeClocks = () => {
  const today = new Date().toDateString();
  for (const each of document.querySelectorAll("time[data-clock]")) {
    const at = new Date(each.dateTime);
    const text = (at.toDateString() === today ? clock : dayAndClock).format(at);
    if (each.textContent !== text) each.textContent = text;
  }
};

export const keepAgesTrue = () => {
  writeAges();
  writeClocks();
  document.addEventListener("htmx:after:swap", writeClocks);
  setInterval(() => document.hidden || writeAges(), 5000);
  document.addEventListener("visibilitychange", () => writeAges());
};
