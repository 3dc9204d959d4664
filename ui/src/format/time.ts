// Instants in the reader's zone.

import type { Granularity, Timestamp } from "../api/types";

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

const format = (options: Intl.DateTimeFormatOptions) =>
  new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options });

const clock = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = format({ day: "numeric", month: "short" });
const weekday = format({ weekday: "short", day: "numeric" });
const month = format({ month: "short", year: "numeric" });
const year = format({ day: "numeric", month: "short", year: "numeric" });
const minute = format({ hour: "2-digit", minute: "2-digit" });
const full = format({
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  timeZoneName: "short",
});

export const timeOfDay = (at: Timestamp): string => clock.format(new Date(at));
export const date = (at: Timestamp): string => day.format(new Date(at));
export const dateOfYear = (at: Timestamp): string => year.format(new Date(at));
export const precise = (at: Timestamp): string => full.format(new Date(at));

const iso = new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" });

/** An instant's day as a date field has it. */
export const dayOf = (at: Timestamp): string => iso.format(new Date(at));

/** Where a date field's day begins. */
export const beginOf = (day: string): Timestamp => new Date(`${day}T00:00`).toISOString();

/** Under a chart's bar. */
export function tick(at: Timestamp, granularity: Granularity): string {
  const when = new Date(at);
  if (granularity === "hour" || granularity === "15m") {
    const text = minute.format(when);
    return text === "00:00" ? weekday.format(when) : text;
  }
  return granularity === "month" ? month.format(when) : day.format(when);
}

/** What a chart's bar covers. */
export function span(from: Timestamp, to: Timestamp, granularity: Granularity): string {
  const [a, b] = [new Date(from), new Date(to)];
  if (granularity === "hour" || granularity === "15m") return `${weekday.format(a)}, ${minute.format(a)}–${minute.format(b)}`;
  if (granularity === "day") return weekday.format(a) + ` ${month.format(a)}`;
  return `${day.format(a)} – ${day.format(b)}`;
}

/** `in 12 s`. */
export function ahead(at: Timestamp, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((Date.parse(at) - now) / 1000));
  if (seconds < 120) return `in ${seconds} s`;
  if (seconds < 7200) return `in ${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `in ${Math.floor(seconds / 3600)} h`;
  return `in ${Math.floor(seconds / 86_400)} days`;
}

/** `12 s ago`. */
export function ago(at: Timestamp, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(at)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}
