//! What servers and this machine's driver said last, in memory: nobody needs to know after a
//! restart, when they are asked again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use meter::Timestamp;

use super::inquiry::ServerReading;

/// What the driver of this machine's graphics processors said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverReading {
    /// How many there are.
    pub count: u32,
    /// How busy they were, in percent, on average; absent: it does not know.
    pub busy_percent: Option<u8>,
}

impl DriverReading {
    /// Reads what the driver's own program prints: a line for each processor, with how busy it is in
    /// percent, or words where that is not known. Absent where it prints none.
    pub fn parse(printed: &str) -> Option<Self> {
        let lines = printed.lines().map(str::trim).filter(|line| !line.is_empty());
        let each: Vec<Option<u32>> = lines
            .take(MOST_GPUS)
            .map(|line| line.parse().ok().filter(|percent| *percent <= 100))
            .collect();
        let known: Vec<u32> = each.iter().copied().flatten().collect();
        let mean = known.iter().sum::<u32>().checked_div(u32::try_from(known.len()).ok()?);
        let count = u32::try_from(each.len()).ok().filter(|count| *count > 0)?;
        Some(Self { count, busy_percent: mean.and_then(|percent| u8::try_from(percent).ok()) })
    }
}

/// More than any machine has.
const MOST_GPUS: usize = 64;

/// What was said last, and when.
#[derive(Debug, Default)]
pub struct ServerBoard {
    said: Mutex<Said>,
}

/// The same, for reading.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// By server.
    pub servers: BTreeMap<Box<str>, (Timestamp, ServerReading)>,
    /// By this machine's driver.
    pub driver: Option<DriverReading>,
}

impl Said {
    /// Whether it says the same, whenever that was said.
    pub fn is_the_same_as(&self, other: &Self) -> bool {
        let all = |said: &Self| {
            said.servers
                .iter()
                .map(|(id, (_, reading))| (id.clone(), reading.clone()))
                .collect::<Vec<_>>()
        };
        self.driver == other.driver && all(self) == all(other)
    }
}

impl ServerBoard {
    /// A server said this, at this instant.
    pub fn told(&self, server: &str, at: Timestamp, reading: ServerReading) {
        self.lock().servers.insert(server.into(), (at, reading));
    }

    /// These are asked no more: what they said is no news of today.
    pub fn forget_but(&self, kept: impl Fn(&str) -> bool) {
        self.lock().servers.retain(|server, _| kept(server));
    }

    /// The driver said this, or is no longer asked.
    pub fn driver_told(&self, reading: Option<DriverReading>) {
        self.lock().driver = reading;
    }

    /// Everything that is known.
    pub fn said(&self) -> Said {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_believed_what_can_be_true() {
        let read = |text| DriverReading::parse(text).map(|read| (read.count, read.busy_percent));
        assert_eq!(read("63\n"), Some((1, Some(63))));
        assert_eq!(read(" 10\n 25\n"), Some((2, Some(17))));
        assert_eq!(read("[N/A]\n40\n"), Some((2, Some(40))));
        assert_eq!(read("[N/A]"), Some((1, None)));
        assert_eq!(read("900\n-3\nNaN"), Some((3, None)));
        assert_eq!(read("\n \n"), None);
        assert_eq!(read(&"1\n".repeat(5000)), Some((64, Some(1))));
    }
}
