// The lines a rule can have, as the form and the lists show them.

import type { AlertRule, Measure, Reading } from "../../api/types";
import { count, duration } from "../../format/number";
import { money } from "../../format/money";

/** The fields that are a rule's line. */
export const LINES = [
  "spend_above",
  "forecast_above",
  "error_rate_above",
  "rate_limited_above",
  "availability_below",
  "latency_above_ms",
  "ttft_above_ms",
  "cache_hits_below",
  "unpriced_above",
  "calls_above",
  "loop_above",
] as const;
export type Line = (typeof LINES)[number];

/** What else can be said of a line. */
export type Detail = "per" | "after_percent" | "percentile" | "within" | "compared_with" | "at_least" | "at_least_tokens";

interface Shape {
  label: string;
  /** Between the line's name and its value. */
  verb: string;
  unit: string;
  usual: string;
  details: Partial<Record<Detail, string>>;
  meaning: string;
}

export const SHAPES: Record<Line, Shape> = {
  spend_above: { label: "Spend", verb: "is above", unit: "$", usual: "20.00", details: { per: "day" }, meaning: "What the present period came to so far." },
  forecast_above: { label: "Spend on course", verb: "is above", unit: "$", usual: "500.00", details: { per: "month", after_percent: "10" }, meaning: "The present period's spend so far, carried on to its end at the same pace." },
  error_rate_above: { label: "Error rate", verb: "is above", unit: "%", usual: "20", details: { within: "5m", at_least: "10" }, meaning: "Calls that failed, of those that ended." },
  rate_limited_above: { label: "429 answers", verb: "are more than", unit: "calls", usual: "5", details: { within: "5m" }, meaning: "Calls that a provider turned away because there were too many." },
  availability_below: { label: "Availability", verb: "falls below", unit: "%", usual: "99.5", details: { within: "30d", at_least: "100" }, meaning: "Calls that succeeded, of those that the provider ended: what was denied, given up or still runs does not count." },
  latency_above_ms: { label: "Latency", verb: "is above", unit: "ms", usual: "10000", details: { percentile: "95", within: "10m", at_least: "10" }, meaning: "So many of 100 calls are faster, end to end." },
  ttft_above_ms: { label: "Time to first content", verb: "is above", unit: "ms", usual: "3000", details: { percentile: "95", within: "10m", at_least: "10" }, meaning: "So many of 100 streams begin sooner." },
  cache_hits_below: { label: "Cached input", verb: "falls below", unit: "% of usual", usual: "50", details: { within: "1h", compared_with: "7d", at_least_tokens: "100000" }, meaning: "The share of input tokens read from a cache, against the time before. Caches that gave less than a tenth of the input are no measure." },
  unpriced_above: { label: "Calls without a known cost", verb: "are above", unit: "%", usual: "10", details: { within: "1h", at_least: "10" }, meaning: "They are in no total." },
  calls_above: { label: "Calls", verb: "are more than", unit: "calls", usual: "120", details: { within: "5m" }, meaning: "Whatever became of them." },
  loop_above: { label: "Runaway loop", verb: "makes more than", unit: "calls", usual: "60", details: { within: "1m" }, meaning: "Fast calls of one model whose spend rises against as much time before." },
};

export const lineOf = (rule: AlertRule): Line => LINES.find((line) => rule[line] !== null && rule[line] !== undefined) ?? "spend_above";

/** A rule with nothing in it, so that every field has its place. */
export const BLANK: AlertRule = {
  name: "", spend_above: null, forecast_above: null, error_rate_above: null, rate_limited_above: null, availability_below: null, latency_above_ms: null, percentile: null,
  ttft_above_ms: null, cache_hits_below: null, unpriced_above: null, calls_above: null, loop_above: null, per: null,
  after_percent: null, within: null, compared_with: null, at_least: null, at_least_tokens: null, only: {}, quiet_hours: null,
  enabled: null,
};

export const MEASURES: Record<Measure, string> = {
  spend: "Spend", forecast: "On course for", error_rate: "Error rate", rate_limited: "Answered 429", availability: "Availability", latency: "Latency",
  ttft: "First content", cache_hits: "Of the usual cached share", unpriced: "Without known cost", calls: "Calls", loop: "Calls of one model",
};

/** A figure or a line as people read it. */
export function figure(reading: Reading, which: "value" | "threshold"): string {
  const text = reading[which];
  switch (reading.unit) {
    case "usd": return money(text);
    case "percent": return `${text} %`;
    case "milliseconds": return duration(Number(text));
    case "requests": return count(Number(text));
  }
}
