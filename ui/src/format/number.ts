// Counts, shares and durations for the eye.

const LOCALE = "en-US";
const grouped = new Intl.NumberFormat(LOCALE);
const compacted = new Intl.NumberFormat(LOCALE, { notation: "compact", maximumSignificantDigits: 3 });

export const count = (value: number): string => grouped.format(value);

export const compact = (value: number): string => (value < 10_000 ? count(value) : compacted.format(value));

/** A share as `96.1 %`; nothing of nothing is no share. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return "–";
  const share = (part / whole) * 100;
  // Never round up to "all" or down to "none".
  if (part !== whole && share > 99.9) return ">99.9 %";
  if (part !== 0 && share < 0.1) return "<0.1 %";
  return `${share.toFixed(share === 100 || share === 0 ? 0 : 1)} %`;
}

/** The change against before: `+12.4 %`, or `new`. */
export function change(now: number, before: number): string | null {
  if (before === 0) return now === 0 ? null : "new";
  const by = ((now - before) / before) * 100;
  if (Math.abs(by) < 0.05) return "±0 %";
  const digits = Math.abs(by) >= 1000 ? 0 : 1;
  return `${by > 0 ? "+" : "−"}${Math.abs(by).toFixed(digits)} %`;
}

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} m`;
}

export const micros = (us: number): string => (us < 1000 ? `${us} µs` : `${(us / 1000).toFixed(1)} ms`);

export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  const units = ["kB", "MB", "GB"];
  let size = value;
  let unit = "B";
  while (size >= 1000 && units.length > 0) {
    size /= 1000;
    unit = units.shift() ?? unit;
  }
  return `${size.toFixed(1)} ${unit}`;
}
