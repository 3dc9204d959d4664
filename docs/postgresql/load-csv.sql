-- Loads usage.csv from the table usage_csv, which was made from its heading. Loading what is there
-- already brings it up to date.
\set ON_ERROR_STOP on
BEGIN;

\copy usage_csv FROM 'usage.csv' WITH (FORMAT csv, HEADER match)

-- What a spreadsheet would take for a formula has an apostrophe in front in a CSV file.
CREATE OR REPLACE FUNCTION pg_temp.plain(cell text) RETURNS text LANGUAGE sql IMMUTABLE
  AS $$ SELECT regexp_replace(cell, '^''([ '']*[-=+@\t\r\n])', '\1') $$;

INSERT INTO request
SELECT
  id::uuid,
  started_at::timestamptz,
  pg_temp.plain(workspace),
  pg_temp.plain(pass),
  pg_temp.plain(key),
  pg_temp.plain(client),
  coalesce(tags, '{}')::jsonb,
  pg_temp.plain(provider),
  pg_temp.plain(coalesce(model, model_requested)),
  kind,
  status,
  http_status::integer,
  stream::boolean,
  input_tokens::numeric,
  output_tokens::numeric,
  cost::numeric,
  currency,
  cost_state,
  subtotal::numeric,
  usage_state,
  latency_ms::bigint,
  ttft_ms::bigint
FROM usage_csv
ON CONFLICT (id) DO UPDATE SET
  status = excluded.status, input_tokens = excluded.input_tokens,
  output_tokens = excluded.output_tokens, cost = excluded.cost, cost_state = excluded.cost_state,
  subtotal = excluded.subtotal, usage_state = excluded.usage_state, workspace = excluded.workspace,
  pass = excluded.pass;

DROP TABLE usage_csv;
COMMIT;
