//! What the kernel and valgrind count of a process.

use std::{fmt::Display, fs, io};

/// The resident memory of a process, by its number or `self`, in bytes.
///
/// # Errors
/// There is no such process.
pub fn resident(process: impl Display) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok())
        .map(|kibibytes: u64| kibibytes * 1024)
        .ok_or_else(|| io::Error::other("status holds no VmRSS"))
}

/// What callgrind says at its end that it collected; instructions come first.
/// `None` if the log has no such line.
#[must_use]
pub fn collected(log: &str) -> Option<Vec<u64>> {
    let (_, counts) = log
        .lines()
        .find_map(|line| line.split_once("Collected : "))?;
    let counts = counts.split_whitespace().map(str::parse);
    counts
        .collect::<Result<Vec<u64>, _>>()
        .ok()
        .filter(|counts| !counts.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_their_line() {
        let log = "==7== Events    : Ir Dr\n==7== Collected : 10 20\n";
        assert_eq!(collected(log), Some(vec![10, 20]));
        assert_eq!(collected("==7== Collected : 10 x"), None);
        assert_eq!(collected("==7== Collected : "), None);
        assert_eq!(collected("terminated"), None);
    }

    #[test]
    fn own_memory_is_some() {
        assert!(resident("self").unwrap() > 0);
        assert!(resident("nobody").is_err());
    }
}
