// The columns that a log of requests can show.

import type { Receipt } from "../api/types";
import { bytes, count, duration, micros } from "../format/number";
import { precise } from "../format/time";
import { tokens, type Standing } from "../format/words";

export interface Column {
  id: string;
  label: string;
  right?: boolean;
  /** Shown unless somebody chose otherwise. */
  on?: boolean;
  /** Left out below this width of the table, in pixels. */
  from?: number;
  /** Plain text; the cells of time, model, cost and status are drawn. */
  text?: (receipt: Receipt, standing: Standing) => string;
}

const sum = (which: (split: ReturnType<typeof tokens>) => number) => (_: Receipt, standing: Standing) =>
  count(which(tokens(standing.lines)));
const factor = (name: string) => (_: Receipt, standing: Standing) => {
  const lines = standing.lines.filter((line) => line.factor === name);
  return lines.length === 0 ? "" : count(lines.reduce((all, line) => all + line.count, 0));
};

export const COLUMNS: Column[] = [
  { id: "time", label: "Time", on: true },
  { id: "model", label: "Model", on: true },
  { id: "provider", label: "Provider", on: true, from: 900, text: (receipt) => receipt.provider },
  { id: "tokens", label: "Tokens", right: true, on: true, from: 560, text: sum((one) => one.input + one.read + one.write + one.output) },
  { id: "input", label: "Input", right: true, on: true, from: 1000, text: sum((one) => one.input) },
  { id: "cache_read", label: "Cache read", right: true, on: true, from: 1000, text: sum((one) => one.read) },
  { id: "cache_write", label: "Cache write", right: true, text: sum((one) => one.write) },
  { id: "cache_write_5m", label: "Write 5 min", right: true, text: factor("input.cache_write_5m") },
  { id: "cache_write_1h", label: "Write 1 h", right: true, text: factor("input.cache_write_1h") },
  { id: "output", label: "Output", right: true, on: true, from: 1000, text: sum((one) => one.output) },
  { id: "reasoning", label: "Reasoning", right: true, text: factor("output.reasoning") },
  { id: "cost", label: "Cost", right: true, on: true },
  { id: "ttft", label: "TTFT", right: true, on: true, from: 760, text: (receipt) => (receipt.ttft_ms === null ? "–" : duration(receipt.ttft_ms)) },
  { id: "latency", label: "Latency", right: true, on: true, from: 640, text: (receipt) => duration(receipt.latency_ms) },
  { id: "overhead", label: "Gateway added", right: true, text: (receipt) => (receipt.overhead_us === null ? "–" : micros(receipt.overhead_us)) },
  { id: "source", label: "Key / pass", on: true, from: 1120, text: (receipt) => receipt.key ?? receipt.pass ?? "client's own" },
  { id: "workspace", label: "Workspace", text: (receipt) => receipt.workspace },
  { id: "client", label: "Client", text: (receipt) => receipt.client ?? "" },
  { id: "kind", label: "Kind", text: (receipt) => receipt.kind },
  { id: "technology", label: "Technology", text: (receipt) => receipt.technology ?? "" },
  { id: "capabilities", label: "Capabilities", text: (receipt) => receipt.capabilities.map((one) => one.replaceAll("_", " ")).join(", ") },
  { id: "billing", label: "Billing", text: (receipt) => receipt.billing },
  { id: "tier", label: "Tier", text: (receipt) => receipt.service_tier ?? "" },
  { id: "region", label: "Region", text: (receipt) => receipt.region ?? "" },
  { id: "size", label: "Bytes", right: true, text: (receipt) => bytes(receipt.response_bytes) },
  { id: "attempts", label: "Attempts", right: true, text: (receipt) => count(receipt.attempts.length) },
  { id: "status", label: "Status", on: true },
  { id: "code", label: "HTTP", right: true, text: (receipt) => receipt.http_status?.toString() ?? "" },
  { id: "error", label: "Error", text: (receipt) => receipt.error_type ?? receipt.error_message ?? "" },
  { id: "id", label: "Request id", text: (receipt) => receipt.id },
  { id: "ended", label: "Ended", text: (receipt) => precise(receipt.ended_at) },
];
