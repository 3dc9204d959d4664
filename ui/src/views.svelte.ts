// Views that somebody saved under a name: a page with its period and filters, kept by this browser.

const STORE = "views";
/** More than anybody finds again. */
const MOST = 100;

export interface View {
  name: string;
  /** The page and what stands in its address. */
  to: string;
}

const is = (one: unknown): one is View =>
  typeof one === "object" && one !== null && "name" in one && "to" in one && typeof one.name === "string" && typeof one.to === "string" && /^\/[a-z]+(\?|$)/.test(one.to);

function read(): View[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(STORE) ?? "[]");
    return Array.isArray(kept) ? kept.filter(is).slice(0, MOST) : [];
  } catch {
    return [];
  }
}

export const views = $state({ all: read() });

function keep(all: View[]): void {
  views.all = all.sort((a, b) => a.name.localeCompare(b.name)).slice(0, MOST);
  localStorage.setItem(STORE, JSON.stringify(views.all));
}

/** Saves what is shown now; a view of that name is another from then on. */
export const save = (name: string, to: string): void => keep([...views.all.filter((one) => one.name !== name), { name, to }]);

export const forget = (name: string): void => keep(views.all.filter((one) => one.name !== name));
