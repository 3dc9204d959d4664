-- The UTC day before which receipts were removed, or are being removed; none or one row. Their
-- sums stay.
CREATE TABLE pruned (day INTEGER PRIMARY KEY) STRICT;
