-- Calendar months in UTC (span 4) are sealed as well; they are made from the days that are.
INSERT INTO sealed VALUES (4, 0);

-- The UTC day from which on all sums are still to be made anew from the receipts, while others
-- write and ask. The first ledgers did not sum up what caching saved.
CREATE TABLE rebuild (day INTEGER PRIMARY KEY) STRICT;

INSERT INTO rebuild SELECT 0 WHERE EXISTS (SELECT 1 FROM receipt);
