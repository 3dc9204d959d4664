//! What is left after a crash, a full disk, a broken file.
