//! Prometheus metrics: one registry per process, shown at `/metrics`.
//!
//! Labels come from closed sets (a service, an operation kind), never from users.

use std::sync::{LazyLock, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

static REGISTRY: LazyLock<Mutex<Registry>> =
    LazyLock::new(|| Mutex::new(Registry::with_prefix("nephos")));

/// Tasks that panicked, by task name. Anything but zero is a bug.
pub static TASK_PANICS: LazyLock<Labelled> =
    LazyLock::new(|| Labelled::new("task_panics", "Tasks that panicked", "task"));

type Labels = Vec<(&'static str, &'static str)>;

/// A counter with one label.
#[derive(Debug)]
pub struct Labelled {
    label: &'static str,
    family: Family<Labels, Counter>,
}

impl Labelled {
    /// Registers `nephos_<name>_total{label=…}`.
    #[must_use]
    pub fn new(name: &'static str, help: &'static str, label: &'static str) -> Self {
        let family = Family::<Labels, Counter>::default();
        registry(|registry| registry.register(name, help, family.clone()));
        Self { label, family }
    }

    /// Adds one under `value`.
    pub fn add(&self, value: &'static str) {
        self.family.get_or_create(&vec![(self.label, value)]).inc();
    }
}

/// Durations in seconds with one label.
#[derive(Debug)]
pub struct Durations {
    label: &'static str,
    family: Family<Labels, Histogram, fn() -> Histogram>,
}

impl Durations {
    /// Registers `nephos_<name>_seconds{label=…}` with buckets from 0.5 ms to 16 s.
    #[must_use]
    pub fn new(name: &'static str, help: &'static str, label: &'static str) -> Self {
        let make: fn() -> Histogram = || Histogram::new(exponential_buckets(0.0005, 2.0, 16));
        let family = Family::new_with_constructor(make);
        registry(|registry| {
            registry.register_with_unit(name, help, Unit::Seconds, family.clone());
        });
        Self { label, family }
    }

    /// Records one duration under `value`.
    pub fn record(&self, value: &'static str, took: std::time::Duration) {
        self.family
            .get_or_create(&vec![(self.label, value)])
            .observe(took.as_secs_f64());
    }
}

/// Registers a gauge `nephos_<name>`.
#[must_use]
pub fn gauge(name: &'static str, help: &'static str) -> Gauge {
    let gauge = Gauge::default();
    registry(|registry| registry.register(name, help, gauge.clone()));
    gauge
}

/// Everything registered, in the text format that Prometheus reads.
#[must_use]
pub fn render() -> String {
    let mut text = String::new();
    registry(|registry| {
        let _writing_to_a_string_cannot_fail = encode(&mut text, registry);
    });
    text
}

fn registry(with: impl FnOnce(&mut Registry)) {
    with(&mut REGISTRY.lock().unwrap_or_else(PoisonError::into_inner));
}
