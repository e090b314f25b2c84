//! Metrics in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use authen_sasl_account_servers::{Figures, BOUNDS};

use crate::end_reason::EndReason;
use crate::relay::Carried;

/// All counters and gauges.
#[derive(Default)]
pub struct Metrics {
    pub accepted: AtomicU64,
    pub turned_away: AtomicU64,
    pub logins: Logins,
    pub failures: AtomicU64,
    pub user_limit: AtomicU64,
    pub broken: AtomicU64,
    pub late: AtomicU64,
    pub backend_errors: AtomicU64,
    pub backend_login_errors: AtomicU64,
    pub reloads: AtomicU64,
    pub reload_errors: AtomicU64,
    pub bytes: Carried,
    pub log_lines_dropped: Arc<AtomicU64>,
    pub relaying: AtomicI64,
    /// Tokens that the provider could not be asked about.
    pub provider_errors: AtomicU64,
    /// Stronger verifiers that were stored, and those that could not be.
    pub upgrades: AtomicU64,
    pub upgrade_errors: AtomicU64,
    /// Questions to the account server.
    pub store: Arc<Figures>,
    /// By [`EndReason`].
    pub sessions_ended: [AtomicU64; EndReason::ALL.len()],
}

/// What the configuration and the connections are at the moment of a scrape.
#[derive(Default)]
pub struct Now<'l> {
    /// Connections that are not authenticated yet.
    pub unauthenticated: usize,
    /// Files with certificates, and when the first one of each expires, in seconds since 1970.
    pub certificates: &'l [(String, u64)],
}

/// Logins by backend and mechanism. Both names come from the configuration and never from a client, so there are few.
#[derive(Default)]
pub struct Logins(Mutex<BTreeMap<Box<str>, BTreeMap<&'static str, u64>>>);

impl Logins {
    pub fn count(&self, backend: &str, mechanism: &'static str) {
        let mut backends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !backends.contains_key(backend) {
            backends.insert(backend.into(), BTreeMap::new());
        }
        if let Some(mechanisms) = backends.get_mut(backend) {
            *mechanisms.entry(mechanism).or_default() += 1;
        }
    }

    fn write(&self, text: &mut String) {
        write_head(text, "logins_total", "counter", "Clients authenticated.");
        let backends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (backend, mechanisms) in &*backends {
            for (mechanism, count) in mechanisms {
                let backend = escaped(backend);
                let _ =
                    writeln!(text, "sasl_gate_logins_total{{backend=\"{backend}\",mechanism=\"{mechanism}\"}} {count}");
            }
        }
    }
}

/// A label's value, as the text format of Prometheus demands.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn write_head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP sasl_gate_{name} {help}\n# TYPE sasl_gate_{name} {kind}");
}

/// Adds one to a counter.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Adds one to a gauge until it is dropped.
pub struct GaugeGuard<'g>(&'g AtomicI64);

impl<'g> GaugeGuard<'g> {
    pub fn new(gauge: &'g AtomicI64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        GaugeGuard(gauge)
    }
}

impl Drop for GaugeGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// The text for a scraper.
    pub fn text(&self, now: &Now<'_>) -> String {
        let counters = [
            ("connections_total", "Connections accepted.", &self.accepted),
            ("turned_away_total", "Connections closed at once because of a limit.", &self.turned_away),
            ("login_failures_total", "Exchanges that failed.", &self.failures),
            ("user_limit_total", "Logins refused because their user has too many connections.", &self.user_limit),
            ("protocol_errors_total", "Connections that did not speak the AUTH line protocol.", &self.broken),
            ("login_timeouts_total", "Connections that did not authenticate in time.", &self.late),
            ("backend_errors_total", "Failed connections to a backend.", &self.backend_errors),
            ("backend_login_errors_total", "Failed logins of the gateway to a backend.", &self.backend_login_errors),
            ("upgrades_total", "Stronger verifiers that were stored.", &self.upgrades),
            ("upgrade_errors_total", "Stronger verifiers that could not be stored.", &self.upgrade_errors),
            ("reloads_total", "Successful reloads of the configuration.", &self.reloads),
            ("reload_errors_total", "Failed reloads of the configuration.", &self.reload_errors),
            ("client_bytes_total", "Bytes relayed from clients to backends.", &self.bytes.up),
            ("backend_bytes_total", "Bytes relayed from backends to clients.", &self.bytes.down),
            ("store_errors_total", "Look-ups of accounts without an answer.", &self.store.errors),
            (
                "provider_errors_total",
                "Tokens that could not be checked because of the OAuth provider.",
                &self.provider_errors,
            ),
            ("log_lines_dropped_total", "Log lines that could not be written.", &self.log_lines_dropped),
        ];
        let gauges = [
            ("unauthenticated_connections", "Connections that are not authenticated yet.", now.unauthenticated as i64),
            ("relaying_connections", "Authenticated connections.", self.relaying.load(Ordering::Relaxed)),
        ];
        let mut text = String::new();
        write_head(&mut text, "build_info", "gauge", "The version of this program.");
        let _ = writeln!(text, "sasl_gate_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
        let name = "certificate_expiry_timestamp_seconds";
        write_head(&mut text, name, "gauge", "When the first certificate of a file expires.");
        for (file, time) in now.certificates {
            let _ = writeln!(text, "sasl_gate_{name}{{file=\"{}\"}} {time}", escaped(file));
        }
        self.logins.write(&mut text);
        for (name, help, value) in counters {
            let value = value.load(Ordering::Relaxed);
            write_head(&mut text, name, "counter", help);
            let _ = writeln!(text, "sasl_gate_{name} {value}");
        }
        for (name, help, value) in gauges {
            write_head(&mut text, name, "gauge", help);
            let _ = writeln!(text, "sasl_gate_{name} {value}");
        }
        write_seconds(&mut text, "store_seconds", "How long look-ups of accounts took.", &self.store);
        let name = "sessions_ended_total";
        write_head(&mut text, name, "counter", "Sessions ended.");
        for (reason, ended) in EndReason::ALL.iter().zip(&self.sessions_ended) {
            let (reason, ended) = (reason.text(), ended.load(Ordering::Relaxed));
            let _ = writeln!(text, "sasl_gate_{name}{{reason=\"{reason}\"}} {ended}");
        }
        text
    }
}

/// A histogram.
fn write_seconds(text: &mut String, name: &str, help: &str, figures: &Figures) {
    write_head(text, name, "histogram", help);
    let (counts, sum) = (figures.cumulative(), figures.seconds());
    for (bound, count) in BOUNDS.iter().map(f64::to_string).chain(["+Inf".into()]).zip(counts) {
        let _ = writeln!(text, "sasl_gate_{name}_bucket{{le=\"{bound}\"}} {count}");
    }
    let all = counts.last().copied().unwrap_or_default();
    let _ = write!(text, "sasl_gate_{name}_sum {sum}\nsasl_gate_{name}_count {all}\n");
}
