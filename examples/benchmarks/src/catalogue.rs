//! The rows of the table: a subject, its baseline, and the number of callers.
use crate::{
    in_process::{Backend, Dispatched, ViewTarget},
    live_events::Since,
    measure::Limit,
    person::MESSAGES,
    rest::Operation,
};
use std::time::Duration;

/// The subject of a row and its baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A REST operation of the services as processes on PostgreSQL and Kafka, beside the twin.
    Deployed(Operation),
    /// A REST operation of the services in one process on SQLite, beside the same twin on PostgreSQL.
    Embedded(Operation),
    /// A command on PostgreSQL through the framework, beside the same transaction with sqlx.
    Command,
    /// A command on an event-sourced aggregate with a past of this many events and with snapshots, beside the same command on a
    /// state-stored one.
    EventSourced(usize),
    /// Whole rebuilds of a view, without a baseline.
    Rebuild(Backend),
    /// A command while a view is rebuilt, beside the same command on the same service without the rebuild.
    BesideRebuild(Backend),
    /// A query by key on a query side, beside the bare client of its store.
    Query(ViewTarget),
    /// The time from a command's commit to the update of a live query in this process, without a baseline.
    Live(Backend),
    /// Steps of a process manager, beside the same commits by hand.
    ProcessSteps(Backend),
    /// Timers that are due at once, without a baseline.
    Timers(Backend),
    /// The time from a request, or from its response, to the server-sent event about its change, across the gateway of the deployed
    /// services, without a baseline.
    LiveEvents(Since),
    /// A message in memory through the framework, beside a call of its function.
    Dispatch(Dispatched),
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) callers: usize,
}
impl Row {
    pub(crate) fn name(&self) -> String {
        let what = match self.kind {
            Kind::Deployed(operation) => format!("deployed/{}", operation.name()),
            Kind::Embedded(operation) => format!("embedded/{}", operation.name()),
            Kind::Command => "command".to_owned(),
            Kind::EventSourced(past) => format!("event-sourced/{past}"),
            Kind::Rebuild(backend) => format!("rebuild/{}", backend.name()),
            Kind::BesideRebuild(backend) => format!("rebuilding/{}", backend.name()),
            Kind::Query(target) => format!("query-side/{}", target.name()),
            Kind::Live(backend) => format!("live/{}", backend.name()),
            Kind::ProcessSteps(backend) => format!("process-steps/{}", backend.name()),
            Kind::Timers(backend) => format!("timers/{}", backend.name()),
            Kind::LiveEvents(Since::Request) => "live/gateway".to_owned(),
            Kind::LiveEvents(Since::Response) => "live/gateway-response".to_owned(),
            Kind::Dispatch(dispatched) => format!("dispatch/{}", dispatched.name()),
        };
        format!("{what}/{}", self.callers)
    }
    pub(crate) fn describe(&self) -> String {
        let what = match self.kind {
            Kind::Deployed(_) => "REST, gateway, gRPC, service, PostgreSQL; beside the twin",
            Kind::Embedded(_) => "REST, gateway, gRPC, service, SQLite; beside the twin on PostgreSQL",
            Kind::Command => "a command on PostgreSQL; beside the same transaction with sqlx",
            Kind::EventSourced(_) => "a command after a number of events, with snapshots; beside the state-stored one",
            Kind::Rebuild(_) => "a whole rebuild of a view, in events; alone",
            Kind::BesideRebuild(_) => "a command while a view is rebuilt; beside the same one without a rebuild",
            Kind::Query(_) => "a query by key on a query side; beside the bare client of its store",
            Kind::Live(_) => "from a command's commit to the update of a live query; alone",
            Kind::ProcessSteps(_) => {
                "reactions of a process manager with their commands; beside the same commits by hand"
            }
            Kind::Timers(_) => "timers that are due at once; alone",
            Kind::LiveEvents(Since::Request) => {
                "from a request to the server-sent event of its change, deployed; alone"
            }
            Kind::LiveEvents(Since::Response) => "the same, from the response of the request; alone",
            Kind::Dispatch(_) => "a message in memory; beside a call of its function",
        };
        format!("{what}; {} at a time", self.callers)
    }
    /// Returns the limit of one run.
    pub(crate) fn limit(&self, time: Duration) -> Limit {
        let calls = match self.kind {
            // One rebuild, or the timers that were set before, however long it takes.
            Kind::Rebuild(_) | Kind::Timers(_) => 1,
            Kind::Deployed(Operation::Message) | Kind::Embedded(Operation::Message) | Kind::LiveEvents(_) => {
                // Messages are prepared before a run, which takes time; a few people for each caller are enough for a median.
                let people = if self.callers == 1 { 8 } else { 2 };
                people * MESSAGES
            }
            _ => u64::MAX,
        };
        Limit { time, calls }
    }
}

/// Returns every row, in the order of the table.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for form in [Kind::Deployed, Kind::Embedded] {
        for operation in Operation::ALL {
            rows.extend([1, 16].map(|callers| Row { kind: form(operation), callers }));
        }
    }
    rows.extend([1, 16, 64].map(|callers| Row { kind: Kind::Command, callers }));
    rows.extend([10, 1_000, 10_000].map(|past| Row { kind: Kind::EventSourced(past), callers: 1 }));
    for backend in Backend::ALL {
        rows.push(Row { kind: Kind::Rebuild(backend), callers: 1 });
        rows.extend([1, 16].map(|callers| Row { kind: Kind::BesideRebuild(backend), callers }));
    }
    for target in ViewTarget::ALL {
        rows.extend([1, 16].map(|callers| Row { kind: Kind::Query(target), callers }));
    }
    rows.extend(Backend::ALL.map(|backend| Row { kind: Kind::Live(backend), callers: 1 }));
    rows.extend(Backend::ALL.map(|backend| Row { kind: Kind::ProcessSteps(backend), callers: 1 }));
    rows.extend(Backend::ALL.map(|backend| Row { kind: Kind::Timers(backend), callers: 1 }));
    rows.extend(Since::ALL.map(|since| Row { kind: Kind::LiveEvents(since), callers: 1 }));
    rows.extend(Dispatched::ALL.map(|dispatched| Row { kind: Kind::Dispatch(dispatched), callers: 1 }));
    rows
}

#[cfg(test)]
mod tests {
    use super::rows;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let names: BTreeSet<String> = rows().iter().map(super::Row::name).collect();
        assert_eq!(names.len(), rows().len());
    }
}
