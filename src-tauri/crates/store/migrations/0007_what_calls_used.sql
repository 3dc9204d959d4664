-- Lanes tell apart what calls exercised and what sort of model served them, and sums hold how
-- long Tollgate itself took. What is in the ledger already moves to its lanes a day at a time,
-- while others write and ask: see `rebuild`.
CREATE TABLE lane_that_tells (
  id           INTEGER PRIMARY KEY,
  model        INTEGER NOT NULL,  -- name: served, else requested
  provider     INTEGER NOT NULL,  -- name
  key          INTEGER NOT NULL,  -- name
  pass         INTEGER NOT NULL,  -- name
  workspace    INTEGER NOT NULL,  -- name
  client       INTEGER NOT NULL,  -- name
  currency     INTEGER NOT NULL,  -- name
  kind         INTEGER NOT NULL,
  status       INTEGER NOT NULL,
  http_status  INTEGER NOT NULL,
  stream       INTEGER NOT NULL,
  demo         INTEGER NOT NULL,
  settled      INTEGER NOT NULL,
  technology   INTEGER NOT NULL,
  capabilities INTEGER NOT NULL,  -- a bit for each
  UNIQUE (model, provider, key, pass, workspace, client, currency, kind, status, http_status,
          stream, demo, settled, technology, capabilities)
) STRICT;

INSERT INTO lane_that_tells SELECT id, model, provider, key, pass, workspace, client, currency,
  kind, status, http_status, stream, demo, settled, 0, 0 FROM lane;
DROP TABLE lane;
ALTER TABLE lane_that_tells RENAME TO lane;

DELETE FROM rebuild;
INSERT INTO rebuild SELECT 0 WHERE EXISTS (SELECT 1 FROM receipt);
