-- What a pass may be used for. A pass without rows of a sort is not limited in it.
CREATE TABLE pass_limit (
  pass INTEGER NOT NULL,
  sort INTEGER NOT NULL,  -- 0: a provider's id, 1: a model, perhaps with `*` at its end
  text TEXT NOT NULL,
  PRIMARY KEY (pass, sort, text)
) STRICT, WITHOUT ROWID;

-- What names on receipts are called now. `now` never leads on to another name.
CREATE TABLE alias (
  sort INTEGER NOT NULL,  -- 0: passes, 1: workspaces
  name INTEGER NOT NULL,  -- name: as receipts have it
  now  INTEGER NOT NULL,  -- name
  PRIMARY KEY (sort, name)
) STRICT, WITHOUT ROWID;

-- Workspaces that were put away, by the name they have now.
CREATE TABLE archived (
  workspace INTEGER PRIMARY KEY,  -- name
  at        INTEGER NOT NULL
) STRICT;
