// Names of factors, states and units as people read them.

import type { CostState, Figures, Line, Receipt, Status, UnitOfUse } from "../api/types";
import { count } from "./number";

const FACTORS: Record<string, string> = {
  "input.text": "Input, uncached",
  "input.cache_read": "Cache read",
  "input.cache_write": "Cache write",
  "input.cache_write_5m": "Cache write · 5 min",
  "input.cache_write_30m": "Cache write · 30 min",
  "input.cache_write_1h": "Cache write · 1 h",
  "input.cache_write_12h": "Cache write · 12 h",
  "input.audio": "Audio input",
  "input.image": "Image input",
  "output.text": "Output",
  "output.reasoning": "Reasoning",
  "output.audio": "Audio output",
  "output.image": "Image output",
};

export function factor(name: string): string {
  const known = FACTORS[name];
  if (known) return known;
  const words = name.replaceAll(".", " ").replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function units(line: Line): string {
  const amount = count(line.count);
  if (line.unit === "token") return amount;
  return `${amount} ${line.unit}${line.count === 1 ? "" : "s"}`;
}

const UNITS: Record<UnitOfUse, string> = {
  tokens: "tokens",
  images: "images",
  images_read: "images read",
  video_seconds: "s of video",
  audio_seconds: "s of audio",
  characters: "characters",
  server_seconds: "s of server",
  tool_calls: "tool calls",
  search_units: "search units",
  pages: "pages",
  classified: "inputs classified",
  guardrail_units: "guardrail units",
  requests: "requests with a fee",
};

/** What was used besides tokens, each unit by itself: `3 images, 12.5 s of audio`. */
export const otherUnits = (used: Figures["units"]): string =>
  (Object.entries(used) as [UnitOfUse, number][])
    .filter(([unit]) => unit !== "tokens")
    .map(([unit, many]) => `${count(many)} ${UNITS[unit]}`)
    .join(", ");

/** A line's rate: `$3 / 1M tokens`. */
export function rate(text: string, currency: string): string {
  const money = /^[\d.]+(?= \/ )/.exec(text)?.[0];
  if (money === undefined) return text;
  return (currency === "USD" ? "$" : `${currency} `) + text.replace(/(\d[kM]?) token$/, "$1 tokens");
}

export const STATUS: Record<Status, { word: string; shape: string; tone: string }> = {
  succeeded: { word: "Succeeded", shape: "●", tone: "text-ok" },
  error: { word: "Error", shape: "▲", tone: "text-bad" },
  denied: { word: "Denied", shape: "■", tone: "text-bad" },
  cancelled: { word: "Cancelled", shape: "◆", tone: "text-warn" },
  interrupted: { word: "Interrupted", shape: "◇", tone: "text-warn" },
  pending: { word: "Pending", shape: "○", tone: "text-ink-2" },
};

export const COST: Record<CostState, string> = {
  priced: "Calculated from the price list",
  provider_reported: "Stated by the provider",
  partial: "Only part of it has a price",
  unknown: "No price is known",
  free: "Free",
  disputed: "Sources disagree about the price",
  usage_missing: "The provider told no usage",
};

/** What counts now: the last settlement's word, else the receipt's own. */
export interface Standing {
  lines: Line[];
  cost: string | null;
  state: CostState;
  status: Status;
  settled: boolean;
}

export function standing(receipt: Receipt): Standing {
  const now: Standing = {
    lines: receipt.lines,
    cost: receipt.cost,
    state: receipt.cost_state,
    status: receipt.status,
    settled: receipt.settlements.length > 0,
  };
  for (const settlement of receipt.settlements) {
    if (settlement.lines && settlement.lines.length > 0) now.lines = settlement.lines;
    now.cost = settlement.cost ?? null;
    now.state = settlement.cost_state ?? now.state;
    now.status = (settlement.status as Status | null | undefined) ?? now.status;
  }
  return now;
}

/** Tokens of the lines that count now, split as they were billed. */
export function tokens(lines: Line[]): { input: number; read: number; write: number; output: number } {
  const sums = { input: 0, read: 0, write: 0, output: 0 };
  for (const line of lines) {
    if (line.unit !== "token") continue;
    if (line.factor.startsWith("output.")) sums.output += line.count;
    else if (line.factor.startsWith("input.cache_read")) sums.read += line.count;
    else if (line.factor.startsWith("input.cache_write")) sums.write += line.count;
    else sums.input += line.count;
  }
  return sums;
}

export const statusWord = (status: Status): string => STATUS[status]?.word ?? status;
