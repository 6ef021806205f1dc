//! Rebuilds of views on the command line and over HTTP, with the same JSON in both.
mod command;
mod http;

pub use command::ViewsCommand;
pub(super) use http::routes;

use crate::{
    app::{App, CopyUse, RebuildEnd, RebuildProgress, Rebuilt},
    error::Fault,
};
use serde_json::{Value, json};

/// Returns whether the rebuild has done what was asked for.
fn is_done(done: &Rebuilt) -> bool {
    matches!(done.end, RebuildEnd::Switched | RebuildEnd::Compared)
}
fn report(view: &str, done: &Rebuilt) -> Value {
    let end = match done.end {
        RebuildEnd::Switched => "switched",
        RebuildEnd::Compared => "compared",
        RebuildEnd::Incomplete => "incomplete",
        RebuildEnd::Stopped => "stopped",
    };
    let differences = done.differences.iter().map(|difference| {
        json!({ "key": difference.key, "in_live": difference.in_live, "in_rebuilt": difference.in_rebuilt })
    });
    let expired = done.expired.iter().map(|(partition, first)| json!({ "partition": partition, "begins_at": first }));
    json!({
        "view": view, "copy": done.copy, "end": end, "events": done.events, "compared": done.compared,
        "different": done.different, "undecided": done.undecided, "differences": differences.collect::<Vec<_>>(),
        "parked": done.parked, "begins_after_retention": expired.collect::<Vec<_>>(),
    })
}
async fn list(app: &App) -> Result<Value, Fault> {
    let mut views = Vec::new();
    for copies in app.view_copies().await? {
        let projections = copies.projections.iter().map(|(name, serving, other)| {
            json!({ "projection": name, "position": serving.0, "other_position": other.map(|other| other.0) })
        });
        let other = copies.other.map(|(copy, of)| {
            let of = match of {
                CopyUse::Filling => "filling",
                CopyUse::Former => "former",
                CopyUse::CatchingUp => "catching up",
                CopyUse::Dropping => "being dropped",
            };
            json!({ "copy": copy, "use": of })
        });
        views.push(json!({
            "view": copies.view, "serving": copies.serving, "other": other,
            "projections": projections.collect::<Vec<_>>(),
        }));
    }
    Ok(json!({ "views": views }))
}
fn progress(progress: &RebuildProgress) -> Value {
    json!({
        "view": progress.view, "copy": progress.copy, "events": progress.events, "per_second": progress.rate.round(),
        "position": progress.position.map(|position| position.0), "end": progress.end.0,
        "seconds_left": progress.left.map(|left| left.as_secs()),
    })
}
