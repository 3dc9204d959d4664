// Money for the eye. Amounts are exact decimal text and stay integers until they are text again.

import type { Money } from "../api/types";

const ATTOS = 10n ** 18n;

/** Reads decimal text as attodollars. */
export function attos(text: Money): bigint {
  const [, sign, whole = "0", rest = ""] = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text) ?? [];
  const magnitude = BigInt(whole) * ATTOS + BigInt(rest.slice(0, 18).padEnd(18, "0"));
  return sign === "-" ? -magnitude : magnitude;
}

/** Only to scale a bar or a line; never shown. */
export const forScale = (text: Money | null): number => (text === null ? 0 : Number(text));

function fixed(amount: bigint, decimals: number, currency: string): string {
  const step = 10n ** BigInt(18 - decimals);
  const magnitude = amount < 0n ? -amount : amount;
  const steps = (magnitude + step / 2n) / step;
  const digits = steps.toString().padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals).replace(/\B(?=(\d{3})+$)/g, ",");
  const rest = decimals === 0 ? "" : `.${digits.slice(digits.length - decimals)}`;
  const sign = amount < 0n && steps !== 0n ? "−" : "";
  return `${sign}${currency === "USD" ? "$" : `${currency} `}${whole}${rest}`;
}

/** In lists: cents from a dollar on, four decimals below, and `<$0.0001` rather than nothing. */
export function money(text: Money, currency = "USD"): string {
  const amount = attos(text);
  const magnitude = amount < 0n ? -amount : amount;
  if (amount === 0n || magnitude >= ATTOS) return fixed(amount, 2, currency);
  if (magnitude < ATTOS / 10_000n) return `<${fixed(ATTOS / 10_000n, 4, currency)}`;
  return fixed(amount, 4, currency);
}

/** On cards: two decimals, none from ten thousand on, a few more where two would say nothing. */
export function total(text: Money, currency = "USD"): string {
  const amount = attos(text);
  if (amount === 0n || amount >= ATTOS / 10n) return fixed(amount, amount >= 10_000n * ATTOS ? 0 : 2, currency);
  return money(text, currency);
}

/** On a receipt: six decimals, more where six would say nothing. */
export function lineMoney(text: Money, currency = "USD"): string {
  const amount = attos(text);
  const magnitude = amount < 0n ? -amount : amount;
  let decimals = 6;
  while (decimals < 18 && magnitude !== 0n && magnitude < 10n ** BigInt(18 - decimals)) decimals += 1;
  return fixed(amount, Math.min(18, decimals === 6 ? 6 : decimals + 1), currency);
}

/** The whole amount, for hovering and copying. */
export const exact = (text: Money, currency = "USD"): string =>
  currency === "USD" ? `$${text}` : `${currency} ${text}`;
