-- What each pass spent on each model: where everybody has a pass of their own. Equal to
-- `tollgate usage --by pass,model` to the last digit.
SELECT
  pass,
  model,
  currency,
  count(*) AS requests,
  sum(cost) AS cost,
  count(*) FILTER (WHERE unpriced) AS unpriced,
  sum(input_tokens) AS input_tokens,
  sum(output_tokens) AS output_tokens
FROM request
GROUP BY pass, model, currency
ORDER BY sum(cost) DESC NULLS LAST, pass, model;
