//! A stream of server-sent events, as a browser reads it.
use anyhow::{Context, Result};
use reqwest::Response;
use serde_json::Value;

/// The end of an event.
const END: &[u8] = b"\n\n";

/// An open stream.
#[derive(Debug)]
pub(crate) struct Events {
    response: Response,
    /// The bytes that were received and belong to no event yet.
    received: Vec<u8>,
}
impl Events {
    pub(crate) fn of(response: Response) -> Events {
        Events { response, received: Vec::new() }
    }
    /// Waits for the next event with data. Comments and settings of the stream are skipped.
    pub(crate) async fn next(&mut self) -> Result<Value> {
        loop {
            while let Some(event) = take_event(&mut self.received)? {
                if let Some(data) = data_of(&event) {
                    return Ok(serde_json::from_str(&data)?);
                }
            }
            let part = self.response.chunk().await?.context("the stream of events has ended")?;
            self.received.extend(part);
        }
    }
}

/// Removes the first whole event, if one was received.
fn take_event(received: &mut Vec<u8>) -> Result<Option<String>> {
    let Some(end) = received.windows(END.len()).position(|part| part == END) else { return Ok(None) };
    let event = received.drain(..end + END.len()).collect();
    Ok(Some(String::from_utf8(event)?))
}
/// Returns the data of an event, whose lines may be several.
fn data_of(event: &str) -> Option<String> {
    let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
    let lines: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::{data_of, take_event};

    #[test]
    fn an_event_is_taken_when_its_end_was_received() {
        let mut received = "retry: 1000\n\n: 안녕\n\nevent: messages\nid: 7\ndata: {\"a\":1}\n".as_bytes().to_vec();
        assert_eq!(take_event(&mut received).unwrap().as_deref(), Some("retry: 1000\n\n"));
        assert_eq!(take_event(&mut received).unwrap().as_deref(), Some(": 안녕\n\n"));
        assert_eq!(take_event(&mut received).unwrap(), None);
        received.push(b'\n');
        let event = take_event(&mut received).unwrap().unwrap();
        assert_eq!(data_of(&event).as_deref(), Some("{\"a\":1}"));
        assert!(received.is_empty());
    }
    #[test]
    fn only_an_event_with_data_has_data() {
        assert_eq!(data_of("retry: 1000\n\n"), None);
        assert_eq!(data_of("data: a\ndata:b\n\n").as_deref(), Some("a\nb"));
    }
}
