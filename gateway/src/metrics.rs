//! Metrics in the text format of Prometheus.

use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::Arc;

use authen_sasl_account_servers::{Figures, BOUNDS};

use crate::end_reason::EndReason;
use crate::relay::Carried;

/// All counters and gauges.
#[derive(Default)]
pub struct Metrics {
    pub accepted: AtomicU64,
    pub turned_away: AtomicU64,
    pub logins: AtomicU64,
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
    /// Questions to the account server.
    pub store: Arc<Figures>,
    /// By [`EndReason`].
    pub sessions_ended: [AtomicU64; EndReason::ALL.len()],
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
    /// The text for a scraper. `unauthenticated` is the number of connections that are not authenticated yet.
    pub fn text(&self, unauthenticated: usize) -> String {
        let counters = [
            ("connections_total", "Connections accepted.", &self.accepted),
            ("turned_away_total", "Connections closed at once because of a limit.", &self.turned_away),
            ("logins_total", "Clients authenticated.", &self.logins),
            ("login_failures_total", "Exchanges that failed.", &self.failures),
            ("user_limit_total", "Logins refused because their user has too many connections.", &self.user_limit),
            ("protocol_errors_total", "Connections that did not speak the AUTH line protocol.", &self.broken),
            ("login_timeouts_total", "Connections that did not authenticate in time.", &self.late),
            ("backend_errors_total", "Failed connections to a backend.", &self.backend_errors),
            ("backend_login_errors_total", "Failed logins of the gateway to a backend.", &self.backend_login_errors),
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
            ("unauthenticated_connections", "Connections that are not authenticated yet.", unauthenticated as i64),
            ("relaying_connections", "Authenticated connections.", self.relaying.load(Ordering::Relaxed)),
        ];
        let mut text = String::new();
        for (name, help, value) in counters {
            let value = value.load(Ordering::Relaxed);
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "# HELP sasl_gate_{name} {help}\n# TYPE sasl_gate_{name} counter\nsasl_gate_{name} {value}\n"
            );
        }
        for (name, help, value) in gauges {
            let _ = write!(
                text,
                "# HELP sasl_gate_{name} {help}\n# TYPE sasl_gate_{name} gauge\nsasl_gate_{name} {value}\n"
            );
        }
        write_seconds(&mut text, "store_seconds", "How long look-ups of accounts took.", &self.store);
        let name = "sessions_ended_total";
        let _ = write!(text, "# HELP sasl_gate_{name} Sessions ended.\n# TYPE sasl_gate_{name} counter\n");
        for (reason, ended) in EndReason::ALL.iter().zip(&self.sessions_ended) {
            let (reason, ended) = (reason.text(), ended.load(Ordering::Relaxed));
            let _ = writeln!(text, "sasl_gate_{name}{{reason=\"{reason}\"}} {ended}");
        }
        text
    }
}

/// A histogram.
fn write_seconds(text: &mut String, name: &str, help: &str, figures: &Figures) {
    let _ = write!(text, "# HELP sasl_gate_{name} {help}\n# TYPE sasl_gate_{name} histogram\n");
    let (counts, sum) = (figures.cumulative(), figures.seconds());
    for (bound, count) in BOUNDS.iter().map(f64::to_string).chain(["+Inf".into()]).zip(counts) {
        let _ = writeln!(text, "sasl_gate_{name}_bucket{{le=\"{bound}\"}} {count}");
    }
    let all = counts.last().copied().unwrap_or_default();
    let _ = write!(text, "sasl_gate_{name}_sum {sum}\nsasl_gate_{name}_count {all}\n");
}
