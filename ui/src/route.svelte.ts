// Where we are: the page and its filters, both in the address.

import { zone } from "./format/time";

export const PAGES = [
  "activity",
  "requests",
  "models",
  "performance",
  "deployments",
  "providers",
  "workspaces",
  "prices",
  "budgets",
  "routes",
  "alerts",
  "export",
  "connect",
  "settings",
] as const;
export type Page = (typeof PAGES)[number];

/** Filters that every page understands, as `/api/v1` names them. */
export const FILTERS = [
  "model",
  "provider",
  "key",
  "pass",
  "workspace",
  "client",
  "status",
  "kind",
  "technology",
  "capability",
  "stream",
  "tag",
  "demo",
] as const;
export type Filter = (typeof FILTERS)[number];

export const RANGES: { id: string; label: string; key: string }[] = [
  { id: "1h", label: "1h", key: "H" },
  { id: "24h", label: "24h", key: "D" },
  { id: "7d", label: "7d", key: "W" },
  { id: "30d", label: "30d", key: "F" },
  { id: "month", label: "Month", key: "M" },
  { id: "all", label: "All", key: "A" },
];
const DEFAULT_RANGE = "24h";

/** Where somebody wanted to go who was not let in yet, until the address that lets in is spent. */
const WANTED = "tollgate-wanted";
const WAITS_MS = 10 * 60_000;

/** Remembers this view, to go on to it once this browser is let in. Holds an address, no secret. */
export function comeBack(): void {
  if (location.pathname === "/") return;
  const wanted = JSON.stringify({ to: location.pathname + location.search, at: Date.now() });
  localStorage.setItem(WANTED, wanted);
}

/** Goes on to the view that was wanted before; only ever to a page of ours. */
function goOn(): void {
  if (location.pathname !== "/") return;
  const wanted = localStorage.getItem(WANTED);
  localStorage.removeItem(WANTED);
  try {
    const { to, at } = JSON.parse(wanted ?? "null") as { to: string; at: number };
    const { pathname, search, origin } = new URL(to, location.origin);
    const isOurs = origin === location.origin && PAGES.some((name) => pathname === `/${name}` || pathname.startsWith(`/${name}/`));
    if (isOurs && Date.now() - at < WAITS_MS) history.replaceState(null, "", pathname + search);
  } catch {
    // Nothing was wanted, or somebody else wrote there.
  }
}
goOn();

export const address = $state({ path: location.pathname, query: location.search });

window.addEventListener("popstate", () => {
  address.path = location.pathname;
  address.query = location.search;
});

export const page = (): Page => {
  const first = address.path.split("/")[1] ?? "";
  return PAGES.find((name) => name === first) ?? "activity";
};

export const params = (): URLSearchParams => new URLSearchParams(address.query);

export const value = (name: string): string | null => params().get(name);

/** The address of a page, keeping range and filters. */
export function href(to: Page, changes: Record<string, string | string[] | null> = {}): string {
  const next = to === page() ? params() : kept();
  for (const [name, value] of Object.entries(changes)) {
    next.delete(name);
    for (const one of value === null ? [] : [value].flat()) next.append(name, one);
  }
  const query = next.toString();
  return `/${to}${query === "" ? "" : `?${query}`}`;
}

function kept(): URLSearchParams {
  const next = new URLSearchParams();
  for (const [name, value] of params()) {
    if (["range", "from", "to", ...FILTERS].includes(name)) next.append(name, value);
  }
  return next;
}

export function go(to: string, how: "push" | "replace" = "push"): void {
  history[how === "push" ? "pushState" : "replaceState"](null, "", to);
  address.path = location.pathname;
  address.query = location.search;
}

/** Changes parameters of the present page. */
export const set = (changes: Record<string, string | string[] | null>, how: "push" | "replace" = "push"): void =>
  go(href(page(), changes), how);

/** Adds or takes away one value of a filter. */
export function toggle(filter: Filter, value: string): void {
  const values = params().getAll(filter);
  set({ [filter]: values.includes(value) ? values.filter((one) => one !== value) : [...values, value] });
}

/** Follows links of our own without loading anything. */
export function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const link = (event.target as Element).closest("a");
  if (!link || link.target || link.origin !== location.origin || link.hasAttribute("download")) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

export const range = (): string => value("range") ?? (value("from") || value("to") ? "custom" : DEFAULT_RANGE);

/** The period as the questions take it. */
export function period(): [string, string][] {
  const [from, to] = [value("from"), value("to")];
  if (from || to) return [...(from ? [["from", from]] : []), ...(to ? [["to", to]] : [])] as [string, string][];
  const chosen = range();
  if (chosen === "all") return [];
  if (chosen === "today") return [["from", "today"]];
  if (chosen === "month") {
    const parts = new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit" });
    return [["from", parts.format(new Date())]];
  }
  return [["last", chosen]];
}

/** The filters in force. */
export const filters = (): [string, string][] =>
  [...params()].filter(([name]) => (FILTERS as readonly string[]).includes(name));

/** How wide a chart's bars are when nobody says. */
export function granularity(): string {
  const chosen = value("granularity");
  if (chosen) return chosen;
  const [from, to] = [value("from"), value("to")];
  if (from) {
    const days = (Date.parse(to ?? new Date().toISOString()) - Date.parse(from)) / 86_400_000;
    return days <= 3 ? "hour" : days <= 120 ? "day" : days <= 800 ? "week" : "month";
  }
  return { "1h": "15m", "24h": "hour", today: "hour", "7d": "hour", "30d": "day", month: "day", all: "month" }[range()] ?? "hour";
}
