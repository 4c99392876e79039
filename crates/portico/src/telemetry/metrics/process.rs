//! The process itself, as the kernel sees it.

use std::fs;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::exemplar::Exemplar,
};

use super::names;

/// `USER_HZ`, in which the kernel tells CPU times: 100 on every architecture that Linux supports today.
const TICKS: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let encoder = &mut encoder;
        if let Some(seconds) = fs::read_to_string("/proc/self/stat")
            .ok()
            .and_then(|text| cpu_seconds(&text))
        {
            names::CPU
                .start(encoder)?
                .encode_counter(&seconds, None::<&Exemplar<NoLabelSet, f64>>)?;
        }
        if let Some(bytes) = fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|text| resident_bytes(&text))
        {
            names::RESIDENT.start(encoder)?.encode_gauge(&bytes)?;
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            names::FILES
                .start(encoder)?
                .encode_gauge(&i64::try_from(files.count()).unwrap_or(i64::MAX))?;
        }
        if let Some(files) = fs::read_to_string("/proc/self/limits")
            .ok()
            .and_then(|text| max_files(&text))
        {
            names::MAX_FILES.start(encoder)?.encode_gauge(&files)?;
        }
        Ok(())
    }
}

/// User and system time; the program's name in front may hold anything, but ends with the last `)`.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

fn resident_bytes(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn max_files(limits: &str) -> Option<i64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_understood() {
        assert_eq!(cpu_seconds("7 (a) b) R 1 2 3 4 5 6 7 8 9 10 150 50 0 0"), Some(2.0));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
        assert_eq!(
            max_files("Limit  Soft Hard Units\nMax open files            1024   524288   files\n"),
            Some(1024)
        );
        assert_eq!(cpu_seconds(""), None);
    }
}
