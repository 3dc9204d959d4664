// A name keeps its colour: the first eight that were seen hold the eight slots.

import { SvelteMap } from "svelte/reactivity";

const STORE = "slots";
const slots = new SvelteMap<string, number>(read());

function read(): [string, number][] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(STORE) ?? "[]");
    return Array.isArray(kept) ? kept.filter((one): one is [string, number] => Array.isArray(one)) : [];
  } catch {
    return [];
  }
}

/** Gives slots to `names`, the largest first, as long as there are any. */
export function claim(kind: string, names: string[]): void {
  const taken = new Set([...slots].filter(([name]) => name.startsWith(`${kind}:`)).map(([, slot]) => slot));
  let changed = false;
  for (const name of names) {
    if (slots.has(`${kind}:${name}`) || taken.size >= 8) continue;
    const slot = [1, 2, 3, 4, 5, 6, 7, 8].find((slot) => !taken.has(slot));
    if (slot === undefined) break;
    slots.set(`${kind}:${name}`, slot);
    taken.add(slot);
    changed = true;
  }
  if (changed) localStorage.setItem(STORE, JSON.stringify([...slots]));
}

export const colour = (kind: string, name: string | null): string => {
  const slot = name === null ? undefined : slots.get(`${kind}:${name}`);
  return `var(--slot-${slot ?? "other"})`;
};
