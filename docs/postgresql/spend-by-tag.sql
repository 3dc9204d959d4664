-- What each person spent on each model, where calls say who by a tag (`x-tollgate-tag-user: ann`).
-- Equal to `tollgate usage --tag user=ann --by model` to the last digit.
SELECT
  tags ->> 'user' AS person,
  model,
  currency,
  count(*) AS requests,
  sum(cost) AS cost,
  count(*) FILTER (WHERE unpriced) AS unpriced,
  sum(input_tokens) AS input_tokens,
  sum(output_tokens) AS output_tokens
FROM request
GROUP BY person, model, currency
ORDER BY sum(cost) DESC NULLS LAST, person, model;
