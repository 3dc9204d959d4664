-- What budgets have set aside for calls whose cost nobody knows, in attos of US dollars.
CREATE TABLE reservation (
  ordinal INTEGER PRIMARY KEY,
  amount  BLOB NOT NULL
) STRICT;
