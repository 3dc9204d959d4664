//! A list of attributes while it is being written.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};

/// Attributes of a span, a point or a resource. What is absent leaves none.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    list: Vec<KeyValue>,
}

impl Attributes {
    pub(super) fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.maybe(key, Some(value))
    }

    pub(super) fn maybe(&mut self, key: &str, value: Option<impl AsRef<str>>) -> &mut Self {
        self.add(key, value.map(|text| Value::StringValue(text.as_ref().to_owned())))
    }

    pub(super) fn texts<T: AsRef<str>>(
        &mut self,
        key: &str,
        values: impl IntoIterator<Item = T>,
    ) -> &mut Self {
        let string = |text: T| Value::StringValue(text.as_ref().to_owned());
        let values = values.into_iter().map(|text| AnyValue { value: Some(string(text)) });
        let values: Vec<AnyValue> = values.collect();
        let list = (!values.is_empty()).then_some(Value::ArrayValue(ArrayValue { values }));
        self.add(key, list)
    }

    pub(super) fn whole(&mut self, key: &str, value: Option<u64>) -> &mut Self {
        self.add(key, value.map(|value| Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX))))
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) -> &mut Self {
        self.add(key, Some(Value::BoolValue(value)))
    }

    /// Milliseconds, told in seconds.
    pub(super) fn seconds(&mut self, key: &str, ms: Option<u64>) -> &mut Self {
        self.add(key, ms.map(|ms| Value::DoubleValue(in_seconds(ms))))
    }

    fn add(&mut self, key: &str, value: Option<Value>) -> &mut Self {
        if let Some(value) = value {
            let value = Some(AnyValue { value: Some(value) });
            self.list.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
        }
        self
    }
}

impl From<Attributes> for Vec<KeyValue> {
    fn from(written: Attributes) -> Self {
        written.list
    }
}

/// Milliseconds as seconds, which is how OpenTelemetry measures.
pub(super) fn in_seconds(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64()
}
