-- When each model of a self-hosted server ran: spans of milliseconds since 1970 that neither
-- overlap nor touch.
CREATE TABLE running (
  server INTEGER NOT NULL,  -- name: the provider's id
  model  INTEGER NOT NULL,  -- name
  began  INTEGER NOT NULL,
  ended  INTEGER NOT NULL,
  gpus   INTEGER NOT NULL,  -- as the driver counted them; 0: nobody did
  PRIMARY KEY (server, model, began)
) STRICT, WITHOUT ROWID;

-- How far the receipts that came in are counted there; none or one row.
CREATE TABLE running_until (seq INTEGER PRIMARY KEY) STRICT;
