//! The lines that the log has dropped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;

use crate::telemetry;

/// The lines that the process' log has dropped; the log counts them itself.
#[derive(Debug)]
pub(super) struct DroppedLogLines;

impl Collector for DroppedLogLines {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let lines = ConstCounter::new(telemetry::dropped_lines());
        let help = "Log lines dropped because the log was read too slowly or could not be written";
        lines.encode(encoder.encode_descriptor("log_lines_dropped", help, None, lines.metric_type())?)
    }
}
