// The questions that pages ask, as TanStack Query sees them.

import { createQuery, keepPreviousData, QueryClient } from "@tanstack/svelte-query";
import { zone } from "../format/time";
import { ask, type Problem } from "./carrier";
import type { Receipt, Requests, Usage } from "./types";

export const client = new QueryClient({
  defaultOptions: {
    queries: { retry: false, staleTime: 1000, refetchOnWindowFocus: true, placeholderData: keepPreviousData },
  },
});

export type Parameters = [string, string][];

export function question(name: string, parameters: Parameters): string {
  const query = new URLSearchParams([...parameters, ["tz", zone]]);
  return `${name}?${query}`;
}

/** Any question; `path` null asks nothing. */
export const asked = <T>(path: () => string | null) =>
  createQuery<T, Problem>(() => ({
    queryKey: ["ledger", path()],
    queryFn: () => ask<T>("GET", path() ?? ""),
    enabled: path() !== null,
  }));

export const usage = (parameters: () => Parameters | null) =>
  asked<Usage>(() => {
    const given = parameters();
    return given && question("usage", given);
  });

export const requests = (parameters: () => Parameters | null) =>
  asked<Requests>(() => {
    const given = parameters();
    return given && question("requests", given);
  });

export const receipt = (id: () => string | null) =>
  asked<Receipt>(() => {
    const given = id();
    return given && `requests/${encodeURIComponent(given)}`;
  });
