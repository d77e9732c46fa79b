//! Figures about the process itself, under the names that every Prometheus client library gives them.

use std::{fs, time::SystemTime};

use super::{names, page::Samples};

/// Clock ticks per second in `/proc`: a constant of Linux' interface, whatever the kernel runs at.
const TICKS_PER_SECOND: f64 = 100.0;

/// Adds what the system says about this process; what cannot be read is left out.
pub(super) fn collect(started: SystemTime, samples: &mut Samples) {
    if let Some(seconds) = cpu_seconds() {
        samples.single(&names::PROCESS_CPU, seconds);
    }
    if let Some(bytes) = resident_bytes() {
        samples.single(&names::PROCESS_MEMORY, bytes);
    }
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        // One of them is the folder being read.
        let open = descriptors.count().saturating_sub(1);
        samples.single(&names::PROCESS_FDS, small(open));
    }
    if let Ok(since) = started.duration_since(SystemTime::UNIX_EPOCH) {
        samples.single(&names::PROCESS_START, since.as_secs_f64());
    }
    let version = env!("CARGO_PKG_VERSION");
    samples.family(&names::BUILD_INFO, |family| family.sample(&[version], 1.0));
}

/// User and system time. Source: proc(5), `/proc/pid/stat`, fields 14 and 15, counted after the name in parentheses.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// Resident memory. Source: proc(5), `/proc/pid/status`, `VmRSS` in KiB.
fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}

/// A count as a sample.
fn small(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
