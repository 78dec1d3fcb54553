//! The log of `geogate serve`: one line an event, as text (further lines of a message are indented)
//! or as JSON.
//!
//! What clients and servers say ends up in it: user names, SQL, errors. So every value is escaped
//! (no line can be forged, no terminal steered) and cut to `log_value_bytes_max`; colours are for
//! terminals only.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::escape::escaped;

/// Begins a further line of a message.
const CONTINUED: &str = "\n    | ";

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line, for log collectors.
    Json,
}

/// Begins to log to standard error, at the level that `GEOGATE_LOG` tells, and panics too.
pub(super) fn begin(format: LogFormat, value_bytes_max: usize) {
    let level = std::env::var("GEOGATE_LOG").unwrap_or_else(|_| "info".to_owned());
    let (filter, misread) = match EnvFilter::try_new(&level) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let terminal = io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(terminal && format == LogFormat::Text)
        // Where nobody reads the log any more the proxy goes on.
        .log_internal_errors(false)
        .event_format(Lines { format, value_bytes_max })
        .init();
    if let Some(error) = misread {
        tracing::warn!(%error, "GEOGATE_LOG is not understood; the level is info");
    }
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let backtrace = std::backtrace::Backtrace::capture();
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or(payload.downcast_ref::<String>().map(String::as_str));
        let what = text.unwrap_or("a value that is no text");
        tracing::error!(at, %backtrace, "panicked: {what}");
    }));
}

struct Lines {
    format: LogFormat,
    value_bytes_max: usize,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut values = Values { cut: self.value_bytes_max, found: Map::new() };
        event.record(&mut values);
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let metadata = event.metadata();
        match self.format {
            LogFormat::Json => json_line(writer, &time, metadata, values.found),
            LogFormat::Text => text_line(writer, &time, metadata, values.found),
        }
    }
}

fn json_line(
    mut writer: Writer<'_>,
    time: &str,
    metadata: &tracing::Metadata<'_>,
    fields: Map<String, Value>,
) -> fmt::Result {
    let line = json!({
        "timestamp": time,
        "level": metadata.level().as_str(),
        "target": metadata.target(),
        "fields": fields,
    });
    writeln!(writer, "{line}")
}

fn text_line(
    mut writer: Writer<'_>,
    time: &str,
    metadata: &tracing::Metadata<'_>,
    mut fields: Map<String, Value>,
) -> fmt::Result {
    let level = *metadata.level();
    let colour = match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        _ => "34",
    };
    if writer.has_ansi_escapes() {
        write!(writer, "\x1b[2m{time}\x1b[0m \x1b[{colour}m{level:>5}\x1b[0m ")?;
    } else {
        write!(writer, "{time} {level:>5} ")?;
    }
    write!(writer, "{}:", metadata.target())?;
    if let Some(Value::String(message)) = fields.remove("message") {
        // Reports have several lines. None can pass for an event of its own.
        for (at, line) in message.split('\n').enumerate() {
            let before = if at == 0 { " " } else { CONTINUED };
            write!(writer, "{before}{}", escaped(line))?;
        }
    }
    for (name, value) in fields {
        match value {
            Value::String(text) if is_plain(&text) => write!(writer, " {name}={text}")?,
            Value::String(text) => {
                write!(writer, " {name}=\"{}\"", escaped(&text).replace('"', "\\\""))?;
            }
            other => write!(writer, " {name}={other}")?,
        }
    }
    writeln!(writer)
}

/// Whether a value needs no quotes to be told from what follows.
fn is_plain(text: &str) -> bool {
    let plain = |char: char| char.is_ascii_graphic() && !matches!(char, '"' | '\\' | '=');
    !text.is_empty() && text.chars().all(plain)
}

/// The values of an event, cut.
struct Values {
    cut: usize,
    found: Map<String, Value>,
}

impl Values {
    fn add(&mut self, field: &Field, value: Value) {
        self.found.insert(field.name().to_owned(), value);
    }
}

impl Visit for Values {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Cut { left: self.cut, dropped: 0, text: String::new() };
        let _ = write!(text, "{value:?}");
        self.add(field, text.finish().into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Cut { left: self.cut, dropped: 0, text: String::new() };
        let _ = text.write_str(value);
        self.add(field, text.finish().into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }
}

/// A text of which the first bytes are kept.
struct Cut {
    left: usize,
    dropped: usize,
    text: String,
}

impl Cut {
    fn finish(mut self) -> String {
        if self.dropped > 0 {
            let _ = write!(self.text, "... ({} bytes more)", self.dropped);
        }
        self.text
    }
}

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut kept = if self.dropped > 0 { 0 } else { text.len().min(self.left) };
        while !text.is_char_boundary(kept) {
            kept -= 1;
        }
        self.text.push_str(&text[..kept]);
        self.left -= kept;
        self.dropped += text.len() - kept;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .event_format(Lines { format, value_bytes_max: 31 })
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    fn events() {
        let user = "eve\n2030-01-01 ERROR forged\x1b[2J";
        let text = "é".repeat(40);
        tracing::warn!(user, %text, port = 7, up = true, plain = "a:1", "no \"entry\" for\r\n{user}");
    }

    #[test]
    fn nobody_writes_lines_of_their_own() {
        let text = logged(LogFormat::Text, events);
        let (time, rest) = text.split_at(27);
        assert!(time.ends_with('Z'), "{text}");
        assert_eq!(
            rest,
            format!(
                "  WARN geogate::cli::log::tests: no \"entry\" for\\r\n    | eve\n    | 2030-01-01 ... (16 bytes \
                 more) plain=a:1 user=\"eve\\n2030-01-01 ERROR forged\\u{{1b}}[2J\" text=\"{}... (50 \
                 bytes more)\" port=7 up=true\n",
                "é".repeat(15)
            )
        );
    }

    #[test]
    fn json_is_json() {
        let text = logged(LogFormat::Json, events);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["fields"]["user"], "eve\n2030-01-01 ERROR forged\x1b[2J");
        assert_eq!(line["fields"]["port"], 7);
        assert_eq!(line["fields"]["up"], true);
    }
}
