//! How far behind the log its readers are, and since when: asked for by people, and before each look at the metrics.
use super::{Running, Subscriber};
use crate::{Fault, Position, Source, Timestamp, metrics::age, storage::LANES};
use std::{collections::BTreeMap, time::Duration};

/// How far behind the log one reader is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// What it is: `projection`, `group` or `lane`.
    pub kind: &'static str,
    /// Its stored name.
    pub reader: String,
    /// Positions it has to go; none at the end of the log.
    pub positions: u64,
    /// When the first entry was committed that it has not passed.
    pub since: Option<Timestamp>,
}

impl Running {
    /// How far behind the log each reader is: projections, subscribers, and the relay's lanes, by the reader's stored name. What
    /// is not there is at the end.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn lag(&self) -> Result<BTreeMap<String, u64>, Fault> {
        let all = self.behind().await?.into_iter().filter(|it| it.positions > 0);
        Ok(all.map(|it| (it.reader, it.positions)).collect())
    }
    /// The same for every reader, also those at the end, with the age of what waits.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn behind(&self) -> Result<Vec<Behind>, Fault> {
        let storage = &self.shared.storage;
        let end = storage.horizon().await?;
        let mut all = Vec::new();
        let followers = self.log_followers();
        let readers: Vec<_> = followers.iter().map(|it| it.name().to_owned()).collect();
        for ((follower, reader), at) in followers.iter().zip(&readers).zip(storage.positions(&readers).await?) {
            let positions = end.0.saturating_sub(at);
            let since = match positions {
                0 => None,
                _ => storage.log(Position(at), end, 1).await?.first().map(|it| it.at),
            };
            all.push(Behind { kind: follower.kind(), reader: reader.clone(), positions, since });
        }
        for relay in self.relays() {
            let readers: Vec<_> = (0..LANES).map(|lane| relay.reader(lane)).collect();
            let lanes: Vec<_> = (0..LANES).zip(storage.positions(&readers).await?.into_iter().map(Position)).collect();
            let firsts = storage.lanes(&lanes, end, 1).await?;
            for (lane, reader) in (0..LANES).zip(readers) {
                // A lane is at the end when nothing is left for others, whatever else the log holds.
                let first = firsts.iter().find(|it| it.told.as_ref().is_some_and(|told| told.lane == lane));
                let positions = first.map_or(0, |first| end.0 + 1 - first.position.0);
                all.push(Behind { kind: "lane", reader, positions, since: first.map(|it| it.at) });
            }
        }
        Ok(all)
    }
    /// Every name that messages may be parked under.
    fn who_parks(&self) -> Vec<String> {
        let group = |it: Subscriber| match it.source {
            Source::Topic { .. } => it.group.to_owned(),
            Source::Log(_) => format!("subscriber/{}", it.group),
        };
        let lanes = self.relays().into_iter().flat_map(|it| (0..LANES).map(move |lane| it.reader(lane)));
        self.followers().map(|(_, it)| it.reader()).chain(self.subscribers().map(group)).chain(lanes).collect()
    }
    /// Sets the [gauges](crate::metrics) to what is true now: to be called before each look at them, as feature `operations` does.
    ///
    /// # Errors
    /// When the database cannot be read: then only the gauge that says so is set.
    pub async fn measure(&self) -> Result<(), Fault> {
        let (meter, world) = (&self.shared.meter, &*self.shared.world);
        for part in self.health().await.parts {
            meter.up(part.what, part.trouble.is_none());
        }
        let vitals = self.shared.storage.vitals().await?;
        let (pid, held) = vitals.holder.map_or((0, Duration::ZERO), |it| (it.pid, it.held));
        meter.horizon(pid, held);
        if let Some(it) = vitals.connections {
            meter.connections(it.used, it.idle, it.limit);
        }
        let mut parked: BTreeMap<String, u64> = self.who_parks().into_iter().map(|reader| (reader, 0)).collect();
        for key in self.shared.storage.parked_keys(&[]).await? {
            *parked.entry(key.reader).or_default() += key.count;
        }
        parked.iter().for_each(|(reader, count)| meter.parked(reader, *count));
        for it in self.behind().await? {
            let waits = it.since.map_or(Duration::ZERO, |since| age(since, world));
            meter.lag(it.kind, &it.reader, it.positions, waits);
        }
        Ok(())
    }
}
