// The columns of usage tables.

import type { Row } from "../api/types";
import { attos, forScale } from "../format/money";
import { compact, count, duration, micros, percent } from "../format/number";
import { otherUnits } from "../format/words";
import type { Column } from "./Figures.svelte";

const of = (row: Row, ...factors: string[]): number => factors.reduce((all, name) => all + (row.factors[name] ?? 0), 0);
const failed = (row: Row): number => row.statuses.error + row.statuses.interrupted;
const tokens = (label: string, value: (row: Row) => number): Column => ({ label, value, text: (row) => compact(value(row)) });
const time = (label: string, value: (row: Row) => number | undefined): Column => ({
  label,
  value: (row) => value(row) ?? 0,
  text: (row) => {
    const ms = value(row);
    return ms === undefined ? "–" : duration(ms);
  },
});

function added(label: string, value: (row: Row) => number | undefined): Column {
  return { label, value: (row) => value(row) ?? 0, text: (row) => (value(row) === undefined ? "–" : micros(value(row) ?? 0)) };
}

/** What was used besides tokens, each unit by itself: they are never added up. */
export const UNITS: Column = {
  label: "Other units",
  value: (row) => Object.keys(row.units).filter((unit) => unit !== "tokens").length,
  text: (row) => otherUnits(row.units),
};

/** A quotient of exact money, for the eye: at most four digits that say something. */
function each(row: Row): string {
  const priced = row.requests - row.unpriced;
  if (row.cost === null || priced === 0) return "–";
  const dollars = Number(attos(row.cost) / BigInt(priced)) / 1e18;
  return dollars === 0 ? "$0.00" : `$${dollars >= 1 ? dollars.toFixed(2) : Number(dollars.toPrecision(3))}`;
}

export const REQUESTS: Column = { label: "Requests", value: (row) => row.requests, text: (row) => count(row.requests) };
const SUCCESS: Column = {
  label: "Success",
  value: (row) => row.statuses.succeeded / Math.max(1, row.requests),
  text: (row) => percent(row.statuses.succeeded, row.requests - row.statuses.pending),
};
const ERRORS: Column = { label: "Errors", value: failed, text: (row) => (failed(row) === 0 ? "" : count(failed(row))) };

export const COST: Column[] = [
  REQUESTS,
  tokens("Input", (row) => of(row, "input.text", "input.image", "input.audio")),
  tokens("Cache read", (row) => of(row, "input.cache_read")),
  tokens("Write 5 min", (row) => of(row, "input.cache_write_5m", "input.cache_write")),
  tokens("Write 1 h", (row) => of(row, "input.cache_write_1h")),
  tokens("Output", (row) => row.output_tokens),
  tokens("Reasoning", (row) => of(row, "output.reasoning")),
  { label: "Per request", value: (row) => forScale(row.cost) / Math.max(1, row.requests - row.unpriced), text: each },
];

/** `minutes`: how long the period is, for rates per minute. */
export const performance = (minutes: number | null): Column[] => [
  REQUESTS,
  SUCCESS,
  ERRORS,
  time("Average", (row) => row.latency?.mean_ms),
  time("p50", (row) => row.latency?.p50_ms),
  time("p95", (row) => row.latency?.p95_ms),
  time("TTFT p50", (row) => row.ttft?.p50_ms),
  time("TTFT p95", (row) => row.ttft?.p95_ms),
  ...(minutes === null
    ? []
    : [
        { label: "RPM", value: (row: Row) => row.requests, text: (row: Row) => rate(row.requests / minutes) },
        { label: "TPM", value: (row: Row) => row.input_tokens + row.output_tokens, text: (row: Row) => rate((row.input_tokens + row.output_tokens) / minutes) },
      ]),
];

/** How durations are spread. */
export const SPREADS: Column[] = [
  REQUESTS,
  SUCCESS,
  ERRORS,
  time("p50", (row) => row.latency?.p50_ms),
  time("p95", (row) => row.latency?.p95_ms),
  time("p99", (row) => row.latency?.p99_ms),
  time("TTFT p50", (row) => row.ttft?.p50_ms),
  time("TTFT p95", (row) => row.ttft?.p95_ms),
  time("TTFT p99", (row) => row.ttft?.p99_ms),
  added("Added p50", (row) => row.overhead?.p50_us),
  added("Added p99", (row) => row.overhead?.p99_us),
];

const rate = (value: number): string => (value >= 100 ? compact(Math.round(value)) : `${Number(value.toPrecision(2))}`);
export const SHORT: Column[] = [
  REQUESTS,
  SUCCESS,
  ERRORS,
  tokens("Tokens in", (row) => row.input_tokens),
  tokens("Tokens out", (row) => row.output_tokens),
  time("p50", (row) => row.latency?.p50_ms),
  time("p95", (row) => row.latency?.p95_ms),
];
