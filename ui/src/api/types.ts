// The JSON of /api/v1, as `crates/api` writes it.

export type Status = "succeeded" | "error" | "denied" | "cancelled" | "interrupted" | "pending";
export type CostState =
  | "priced"
  | "provider_reported"
  | "partial"
  | "unknown"
  | "free"
  | "disputed"
  | "usage_missing";
/** Exact decimal text; never put through a float on its way to the screen. */
export type Money = string;
/** RFC 3339, UTC, milliseconds. */
export type Timestamp = string;
export type Granularity = "hour" | "day" | "week" | "month";

export interface Spread {
  mean_ms: number;
  p50_ms: number;
  p95_ms: number;
}

export interface Figures {
  requests: number;
  statuses: Record<Status, number>;
  cost: Money | null;
  other_costs: Record<string, Money>;
  subtotal: Money;
  unpriced: number;
  estimated: number;
  input_tokens: number;
  output_tokens: number;
  factors: Record<string, number>;
  latency: Spread | null;
  ttft: Spread | null;
}

export interface Row extends Figures {
  name: string | null;
}

export interface Bucket extends Figures {
  from: Timestamp;
  to: Timestamp;
}

export interface Usage {
  period: { from: Timestamp | null; to: Timestamp | null; tz: string };
  totals: Figures;
  by: string | null;
  rows: Row[];
  granularity: Granularity | null;
  series: Bucket[];
}

export interface Line {
  factor: string;
  count: number;
  unit: string;
  rate: string | null;
  amount: Money | null;
  tier: string | null;
  price_version: string | null;
  basis: "reported" | "derived" | "estimated";
  bound: "exact" | "lower" | "upper";
  model: string | null;
}

export interface Attempt {
  provider: string;
  model: string | null;
  http_status: number | null;
  started_ms: number;
  duration_ms: number;
  ended: string;
}

export interface Settlement {
  at: Timestamp;
  reason?: string | null;
  note?: string | null;
  lines?: Line[] | null;
  cost?: Money | null;
  cost_state?: CostState | null;
  [other: string]: unknown;
}

export interface Receipt {
  id: string;
  started_at: Timestamp;
  ended_at: Timestamp;
  workspace: string;
  pass: string | null;
  key: string | null;
  client: string | null;
  tags: Record<string, string>;
  provider: string;
  upstream: string;
  format: string | null;
  kind: string;
  technology: string | null;
  model_requested: string | null;
  model: string | null;
  stream: boolean;
  status: Status;
  http_status: number | null;
  response_id: string | null;
  region: string | null;
  assisted: boolean;
  client_left_early: boolean;
  error_type: string | null;
  error_message: string | null;
  finish_reason: string | null;
  ttft_ms: number | null;
  latency_ms: number;
  overhead_us: number | null;
  request_bytes: number;
  response_bytes: number;
  upstream_request_id: string | null;
  service_tier: string | null;
  capabilities: string[];
  route: string | null;
  attempts: Attempt[];
  billing: string;
  lines: Line[];
  usage_state: "reported" | "partial" | "estimated" | "missing" | "none";
  anomalies: string[];
  cost: Money | null;
  currency: string;
  cost_state: CostState;
  subtotal: Money | null;
  reported_cost: Money | null;
  book_hash: string | null;
  settlements: Settlement[];
  note: string | null;
}

export interface Requests {
  requests: Receipt[];
  next: string | null;
}

export interface ProblemBody {
  error: { code: string; message: string; hint?: string | null };
}
