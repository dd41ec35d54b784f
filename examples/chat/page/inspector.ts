/** The inspector: it shows the messages that are sent and received. */
import type { Frame } from "./connection.ts";
import { find, make } from "./dom.ts";

const MOST_ROWS = 200;

const ARROWS = { in: ["↓", "received"], out: ["↑", "sent"], event: ["·", "connection"] } as const;

const encoder = new TextEncoder();

const pane = find("frames-scroll", HTMLElement);
const rows = find("frames", HTMLTableSectionElement);
const count = find("frames-count", HTMLSpanElement);
const inspector = find("inspector", HTMLDetailsElement);
const counts = { in: 0, out: 0, event: 0 };

export const showFrame = ({ direction, content }: Frame): void => {
  counts[direction] += 1;
  const [arrow, meaning] = ARROWS[direction];
  const sign = make("span", "arrow", arrow);
  sign.setAttribute("aria-hidden", "true");
  // The size of the payload in bytes: text is sent as UTF-8. A page sees neither the frame headers nor pings and pongs.
  const size = direction === "event" ? "" : `${encoder.encode(content).length} B`;
  const row = make(
    "tr",
    direction,
    make("td", "way", sign, " ", make("span", "meaning", meaning)),
    make("td", "time", timeOf(new Date())),
    make("td", "size", size),
    make("td", "content", make("bdi", "", content)),
  );
  const atEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 40;
  rows.append(row);
  if (rows.children.length > MOST_ROWS) rows.firstElementChild?.remove();
  if (atEnd) scrollToEnd();
  showCounts();
};

const showCounts = (): void => {
  count.textContent = `${counts.out} sent, ${counts.in} received`;
};

const scrollToEnd = (): void => {
  pane.scrollTop = pane.scrollHeight;
};

const timeOf = (date: Date): string =>
  `${date.toLocaleTimeString([], { hour12: false })}.${String(date.getMilliseconds()).padStart(3, "0")}`;

inspector.addEventListener("toggle", scrollToEnd);
find("frames-clear", HTMLButtonElement).addEventListener("click", () => {
  rows.replaceChildren();
  Object.assign(counts, { in: 0, out: 0, event: 0 });
  showCounts();
});
