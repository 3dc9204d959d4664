-- Rollups whose time is over: the cells of all lanes of a quarter of an hour (span 0), a UTC
-- day (1) or a week from Monday on (3) in one row. Table `rollup` keeps the latest quarters.
CREATE TABLE sealed_rollup (
  place INTEGER PRIMARY KEY, -- span * 2^40 + start, in units of the span since 1970 UTC
  cells BLOB NOT NULL
) STRICT;

-- How far they go: cells that start before this are there, unless they are empty.
CREATE TABLE sealed (
  span  INTEGER PRIMARY KEY,
  until INTEGER NOT NULL
) STRICT;

INSERT INTO sealed VALUES (0, 0), (1, 0), (3, 0);

DELETE FROM rollup WHERE span != 0;
