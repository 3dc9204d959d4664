//! The command line: one file per subcommand.

mod figure;
mod screen;
mod table;
