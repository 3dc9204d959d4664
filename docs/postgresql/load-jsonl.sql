-- Loads usage.jsonl. Loading what is there already brings it up to date: background jobs and
-- second valuations change what a request came to.
\set ON_ERROR_STOP on
BEGIN;

CREATE TEMPORARY TABLE line (text text NOT NULL) ON COMMIT DROP;

-- No line of JSON holds these two control characters, so each line is one value.
\copy line FROM 'usage.jsonl' WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')

-- PostgreSQL's texts hold no zero character, which JSON can spell.
WITH receipt AS (
  SELECT regexp_replace(text, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g')::jsonb AS r FROM line
),
-- What counts now: the last settlement's valuation, else the receipt's own.
standing AS (
  SELECT r, coalesce(r -> 'settlements' -> -1, r) AS now,
    coalesce(r -> 'settlements', '[]') AS settlements
  FROM receipt
)
INSERT INTO request
SELECT
  (r ->> 'id')::uuid,
  (r ->> 'started_at')::timestamptz,
  r ->> 'workspace',
  r ->> 'pass',
  r ->> 'key',
  r ->> 'client',
  coalesce(r -> 'tags', '{}'),
  r ->> 'provider',
  coalesce(r ->> 'model', r ->> 'model_requested'),
  r ->> 'kind',
  coalesce(jsonb_path_query_array(settlements, '$[*].status ? (@ != null)') ->> -1, r ->> 'status'),
  (r ->> 'http_status')::integer,
  (r ->> 'stream')::boolean,
  (SELECT floor(coalesce(sum((l ->> 'count')::numeric), 0)) FROM jsonb_array_elements(now -> 'lines') AS l
    WHERE l ->> 'unit' = 'token' AND l ->> 'factor' NOT LIKE 'output.%'),
  (SELECT floor(coalesce(sum((l ->> 'count')::numeric), 0)) FROM jsonb_array_elements(now -> 'lines') AS l
    WHERE l ->> 'unit' = 'token' AND l ->> 'factor' LIKE 'output.%'),
  (now ->> 'cost')::numeric,
  r ->> 'currency',
  now ->> 'cost_state',
  (now ->> 'subtotal')::numeric,
  coalesce(
    jsonb_path_query_array(settlements, '$[*].usage_state ? (@ != null)') ->> -1, r ->> 'usage_state'),
  (r ->> 'latency_ms')::bigint,
  (r ->> 'ttft_ms')::bigint
FROM standing
ON CONFLICT (id) DO UPDATE SET
  status = excluded.status, input_tokens = excluded.input_tokens,
  output_tokens = excluded.output_tokens, cost = excluded.cost, cost_state = excluded.cost_state,
  subtotal = excluded.subtotal, usage_state = excluded.usage_state, workspace = excluded.workspace,
  pass = excluded.pass;

COMMIT;
