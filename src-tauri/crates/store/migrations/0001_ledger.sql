-- The ledger. Times are milliseconds since 1970 UTC, money is 16 bytes big-endian
-- (attos of the lane's currency, sign bit flipped so that it sorts), 0 means absent.

-- Every text that repeats, once.
CREATE TABLE name (
  id   INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

-- Every combination of what receipts are filtered and grouped by, once.
CREATE TABLE lane (
  id          INTEGER PRIMARY KEY,
  model       INTEGER NOT NULL,  -- name: served, else requested
  provider    INTEGER NOT NULL,  -- name
  key         INTEGER NOT NULL,  -- name
  pass        INTEGER NOT NULL,  -- name
  workspace   INTEGER NOT NULL,  -- name
  client      INTEGER NOT NULL,  -- name
  currency    INTEGER NOT NULL,  -- name
  kind        INTEGER NOT NULL,
  status      INTEGER NOT NULL,
  http_status INTEGER NOT NULL,
  stream      INTEGER NOT NULL,
  demo        INTEGER NOT NULL,
  settled     INTEGER NOT NULL,
  UNIQUE (model, provider, key, pass, workspace, client, currency, kind, status, http_status,
          stream, demo, settled)
) STRICT;

-- One request. The ordinal is the first 60 bits of its id, so rows lie in the order of time
-- and a period is a range of rows.
CREATE TABLE receipt (
  ordinal INTEGER PRIMARY KEY,
  lane    INTEGER NOT NULL,
  cost    BLOB,              -- absent: unknown
  detail  BLOB NOT NULL
) STRICT;

-- (lane, ordinal): the ordinal is part of every index.
CREATE INDEX receipt_of_lane ON receipt (lane);

-- Later facts about a receipt, in the order they came.
CREATE TABLE settlement (
  ordinal INTEGER NOT NULL,
  seq     INTEGER NOT NULL,
  fact    BLOB NOT NULL,
  PRIMARY KEY (ordinal, seq)
) STRICT, WITHOUT ROWID;

-- Background jobs whose outcome is still to come, by a hash of provider and response id.
CREATE TABLE awaited (
  job     INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  PRIMARY KEY (job, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE tag (
  name    INTEGER NOT NULL,
  value   INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  PRIMARY KEY (name, value, ordinal)
) STRICT, WITHOUT ROWID;

-- Sums of all receipts of a lane within a quarter of an hour (span 0) or a UTC day (span 1).
CREATE TABLE rollup (
  span     INTEGER NOT NULL,
  start    INTEGER NOT NULL,  -- in units of the span since 1970 UTC
  lane     INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  cost     BLOB NOT NULL,     -- the sum of the known costs
  sums     BLOB NOT NULL,     -- factors, histograms and other counts
  PRIMARY KEY (span, start, lane)
) STRICT, WITHOUT ROWID;

-- The latest receipts in the order they were recorded, which is not that of their ids.
CREATE TABLE arrival (
  seq     INTEGER PRIMARY KEY,
  ordinal INTEGER NOT NULL
) STRICT;

-- Local access secrets; only a hash of each is kept.
CREATE TABLE pass (
  id         INTEGER PRIMARY KEY,
  label      TEXT NOT NULL UNIQUE,
  workspace  TEXT NOT NULL,
  scopes     INTEGER NOT NULL,
  hash       BLOB NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  last_used  INTEGER,
  expires    INTEGER,
  revoked    INTEGER
) STRICT;
