-- One row a request, as Tollgate's exports tell it. Amounts are exact to the attodollar (1e-18):
-- never a float. A cost that nobody knows is NULL, never 0.
CREATE TABLE IF NOT EXISTS request (
  id            uuid PRIMARY KEY,
  started_at    timestamptz NOT NULL,
  workspace     text NOT NULL,
  pass          text,
  key           text,
  client        text,
  tags          jsonb NOT NULL,
  provider      text NOT NULL,
  model         text,
  kind          text NOT NULL,
  status        text NOT NULL,
  http_status   integer,
  stream        boolean NOT NULL,
  input_tokens  numeric NOT NULL,
  output_tokens numeric NOT NULL,
  cost          numeric(40, 18),
  currency      text NOT NULL,
  cost_state    text NOT NULL,
  subtotal      numeric(40, 18),
  usage_state   text NOT NULL,
  latency_ms    bigint NOT NULL,
  ttft_ms       bigint,
  -- There is, or may be, something to pay, and nobody knows how much.
  unpriced      boolean NOT NULL
    GENERATED ALWAYS AS (cost IS NULL AND cost_state <> 'free' AND usage_state <> 'none') STORED
);

CREATE INDEX IF NOT EXISTS request_started_at ON request (started_at);
