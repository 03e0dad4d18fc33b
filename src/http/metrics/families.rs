//! Writes families of metrics with the encoder of `prometheus-client`.

use std::fmt::Error;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::Unit,
};

use crate::measure::{Distribution, Histogram};

/// What a family is called, without the suffixes of its unit and type.
pub(super) struct Name {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Option<Unit>,
}

/// Writes one family after the other.
pub(super) struct Families<'e>(pub(super) DescriptorEncoder<'e>);

impl Families<'_> {
    /// A family of counters. `each` is called with what writes one of them.
    pub(super) fn counters<const N: usize>(
        &mut self,
        name: &Name,
        counters: impl IntoIterator<Item = ([(&'static str, String); N], u64)>,
    ) -> Result<(), Error> {
        self.family(name, MetricType::Counter, counters, |encoder, value| ConstCounter::new(value).encode(encoder))
    }

    pub(super) fn counter(&mut self, name: &Name, value: u64) -> Result<(), Error> {
        self.single(name, MetricType::Counter, |encoder| ConstCounter::new(value).encode(encoder))
    }

    pub(super) fn gauges<const N: usize>(
        &mut self,
        name: &Name,
        gauges: impl IntoIterator<Item = ([(&'static str, String); N], u64)>,
    ) -> Result<(), Error> {
        self.family(name, MetricType::Gauge, gauges, |encoder, value| ConstGauge::new(value).encode(encoder))
    }

    pub(super) fn gauge(&mut self, name: &Name, value: u64) -> Result<(), Error> {
        self.single(name, MetricType::Gauge, |encoder| ConstGauge::new(value).encode(encoder))
    }

    pub(super) fn seconds(&mut self, name: &Name, value: f64) -> Result<(), Error> {
        self.single(name, MetricType::Gauge, |encoder| ConstGauge::new(value).encode(encoder))
    }

    pub(super) fn histograms(
        &mut self,
        name: &Name,
        histograms: impl IntoIterator<Item = ([(&'static str, String); 1], Distribution)>,
    ) -> Result<(), Error> {
        self.family(name, MetricType::Histogram, histograms, encode_distribution)
    }

    pub(super) fn histogram(&mut self, name: &Name, histogram: &Histogram) -> Result<(), Error> {
        self.single(name, MetricType::Histogram, |encoder| encode_distribution(encoder, histogram.distribution()))
    }

    pub(super) fn info(&mut self, name: &Name, labels: Vec<(&'static str, &'static str)>) -> Result<(), Error> {
        self.single(name, MetricType::Info, |encoder| Info::new(labels).encode(encoder))
    }

    fn family<T, const N: usize>(
        &mut self,
        Name { name, help, unit }: &Name,
        kind: MetricType,
        values: impl IntoIterator<Item = ([(&'static str, String); N], T)>,
        write: impl Fn(MetricEncoder<'_>, T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut family = self.0.encode_descriptor(name, help, unit.as_ref(), kind)?;
        for (labels, value) in values {
            write(family.encode_family(&labels)?, value)?;
        }
        Ok(())
    }

    fn single(
        &mut self,
        Name { name, help, unit }: &Name,
        kind: MetricType,
        write: impl FnOnce(MetricEncoder<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        write(self.0.encode_descriptor(name, help, unit.as_ref(), kind)?)
    }
}

fn encode_distribution(mut encoder: MetricEncoder<'_>, distribution: Distribution) -> Result<(), Error> {
    encoder.encode_histogram::<NoLabelSet>(distribution.sum, distribution.count(), &distribution.ranges, None)
}
