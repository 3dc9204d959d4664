-- Days (span 5), weeks (6) and months (7) are sealed once more, with one sum for all lanes of a
-- road: see road.rs. They are made from the days that are sealed.
INSERT INTO sealed VALUES (5, 0), (6, 0), (7, 0);

-- What the values of a tag came to on a UTC day that is sealed, by value and lane. Empty: there
-- are too many values, receipts answer.
CREATE TABLE tag_sum (
  day  INTEGER NOT NULL,
  name INTEGER NOT NULL,  -- name: the tag's
  sums BLOB NOT NULL,
  PRIMARY KEY (day, name)
) STRICT, WITHOUT ROWID;

-- How far they go, in days.
INSERT INTO sealed VALUES (8, 0);
