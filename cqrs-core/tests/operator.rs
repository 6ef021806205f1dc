//! The operator API for many parked messages, over HTTP and as a subcommand. A binary of its own: it sends the signal to
//! itself.
use cqrs_core::{
    Aggregate, App, BoxError, Change, Command as CommandOf, Event, Evolve, HandlerResult, Infallible, IntegrationEvent,
    Metadata, Position, Recorded, Repo, StateStored, Timestamp, View,
    event::NewEntry,
    handler,
    job::Step,
    operations::{ListedTimers, ParkedCommand, ProcessesCommand, Program, ProgramsCommand, TimersCommand},
    projection,
    serde_json::{Value, json},
    storage::{Batch, DueTime, Memory, NewTimer, Park, ParkedPage, ReadLimit, TimerChange, TimerPage, TimerWrite},
    subscriber,
    transport::{Partition, Received},
};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, process, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

#[derive(Debug, Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "com.example.tried.paid.v1", topic = "tried.events.v1", key = id)]
struct Paid {
    id: String,
}
#[subscriber(group = "tried.mail")]
async fn mail(event: Recorded<Paid>) -> Result<(), BoxError> {
    if event.event.id == "stuck" { Err("the mailbox is full".into()) } else { Ok(()) }
}

#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "member.joined", version = 1)]
struct Joined {
    name: String,
}
#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "member", event = Joined)]
struct Member {
    #[id]
    id: String,
}
impl Evolve<Joined> for Member {
    fn create(id: String, _: &Joined) -> Option<Self> {
        Some(Member { id })
    }
    fn apply(&mut self, _: &Joined) {}
}
#[derive(Debug, Clone, Serialize, Deserialize, CommandOf)]
struct Join {
    id: String,
}
#[handler]
async fn join(command: Join, members: Repo<Member>) -> HandlerResult<(), Infallible> {
    members.create(command.id.clone(), Joined { name: command.id })?;
    Ok(())
}
#[derive(Debug, Clone, Serialize, Deserialize, View)]
#[view(name = "member-card", key = String)]
struct MemberCard {
    name: String,
}
#[projection(name = "member-card")]
fn member_card(event: &Recorded<Joined>) -> Change<MemberCard> {
    MemberCard { name: event.name.clone() }.put(event.aggregate_id.clone())
}

async fn park(app: &App, keys: impl Iterator<Item = String>) -> Result<(), BoxError> {
    let mut batch = Batch::default();
    for (key, offset) in keys.zip(1..) {
        let paid = Paid { id: key.clone() };
        let message = cqrs_core::uuid::Uuid::now_v7();
        let header = |name: &str, value: String| (name.to_owned(), value.into_bytes());
        let record = Received {
            partition: Partition { topic: Paid::TOPIC.into(), part: "0".into() },
            offset,
            key: Some(key.clone().into_bytes()),
            headers: vec![header("ce_id", message.to_string()), header("ce_type", Paid::NAME.into())],
            body: Some(paid.encode()?),
            timestamp: None,
        };
        let (reader, error) = ("tried.mail".into(), "mail is down".into());
        let (behind, at, record, attempts) = (false, offset, Some(record), 1);
        batch.parks.push(Park { reader, key, behind, message, at, record, error, attempts });
    }
    app.storage().commit(batch).await?;
    Ok(())
}
async fn parked(app: &App) -> Result<usize, BoxError> {
    Ok(app.parked().list(&ParkedPage::default()).await?.len())
}
/// Sends a request and returns the status and the lines of the body that are JSON.
async fn ask(at: SocketAddr, request: &str) -> Result<(u16, Vec<Value>), BoxError> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(format!("{request} HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let status = response.split(' ').nth(1).ok_or("no status")?.parse()?;
    let lines = response.lines().filter(|line| line.starts_with(['{', '[']));
    let lines = lines.map(cqrs_core::serde_json::from_str).collect::<Result<_, _>>()?;
    Ok((status, lines))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_redelivers_many_messages_over_http_and_by_the_command() -> Result<(), BoxError> {
    let program = Program::start("tried", "error");
    let app = App::builder("tried").discover_part(module_path!()).storage(Memory::new());
    let app = app.aggregate(StateStored::<Member>::new()).build()?;
    let program = program.operator_api([app.clone()], |_| Ok("kim".to_owned()));
    let at = program.listen(Some("127.0.0.1:0".parse()?)).await?.ok_or("the operations endpoint does not listen")?;
    // The database may belong to another service until the start has looked.
    for request in ["GET /parked", "GET /programs", "GET /readers", "POST /parked/redeliver?all=true"] {
        let (status, body) = ask(at, request).await?;
        assert_eq!((status, &body[0]["error"]), (503, &json!("service tried has not checked its database yet")));
    }
    app.migrate().await?;
    let keys = || (0..20).map(|n| format!("key {n}")).chain(["stuck".to_owned()]);
    park(&app, keys()).await?;

    over_http(at, &app).await?;
    park(&app, keys()).await?;
    by_the_command(&app).await?;
    views(at, &app).await?;
    programs(at, &app).await?;
    readers(at, &app).await?;
    timers(at, &app).await?;
    processes(at, &app).await?;
    drop(program);
    Ok(())
}

async fn over_http(at: SocketAddr, app: &App) -> Result<(), BoxError> {
    let (_, page) = ask(at, "GET /parked?limit=2&after_reader=tried.mail&after_key=key%200").await?;
    assert_eq!((&page[0][0]["key"], &page[0][1]["key"]), (&json!("key 1"), &json!("key 10")));
    for (query, error) in [
        ("", "nothing is selected"),
        ("?all=true&error=mail", "exclude each other"),
        ("?error=mail&class=mail", "exclude each other"),
        ("?reader=tried.mail&key=stuck&rate=1", "exclude each other"),
        ("?reader=tried.other", "there is no reader `tried.other`"),
        (
            "?reader=tried.other&key=stuck",
            "there is no reader `tried.other`; the service has: projection/member-card, tried.mail",
        ),
        ("?all=true&rate=0", "rate is 0"),
        ("?all=true&after_key=k", "require each other"),
    ] {
        let (status, body) = ask(at, &format!("POST /parked/redeliver{query}")).await?;
        let text = body[0]["error"].as_str().unwrap_or_default();
        assert!(status == 400 && text.contains(error), "{query}: {status} {text}");
    }
    for request in
        ["GET /parked/messages?reader=mail&key=k", "POST /parked/discard?reader=mail&key=k&number=1&why=a%20test"]
    {
        let (status, body) = ask(at, request).await?;
        assert_eq!(
            (status, &body[0]["error"]),
            (400, &json!("there is no reader `mail`; the service has: projection/member-card, tried.mail"))
        );
    }
    let (status, dry_run) = ask(at, "POST /parked/redeliver?all=true&dry_run=true").await?;
    let counts = json!([{ "reader": "tried.mail", "class": "mail is down", "keys": 21, "messages": 21 }]);
    assert_eq!((status, &dry_run[0]), (200, &json!({ "would_redeliver": 21, "keys": 21, "counts": counts })));
    assert_eq!(parked(app).await?, 21, "a dry run changes nothing");

    // A client that closes the connection stops the redelivery.
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(b"POST /parked/redeliver?reader=tried.mail&rate=5 HTTP/1.1\r\nhost: it\r\n\r\n").await?;
    let mut first = [0; 512];
    while !String::from_utf8_lossy(&first).contains("\"done\"") {
        first = [0; 512];
        assert!(stream.read(&mut first).await? > 0, "the response ended");
    }
    drop(stream);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let left = parked(app).await?;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(left < 21 && left == parked(app).await?, "the redelivery went on without its client");

    let (status, lines) = ask(at, "POST /parked/redeliver?class=mail+is+down").await?;
    let last = lines.last().ok_or("no progress")?;
    assert_eq!((status, &last["finished"], &last["failed_keys"]), (200, &json!(true), &json!(1)), "{last}");
    assert_eq!(last["done"], json!(left - 1));
    assert_eq!(last["after"], json!({ "reader": "tried.mail", "key": "stuck" }));
    assert_eq!(parked(app).await?, 1);
    Ok(())
}

/// Sets a timer. With an error, it waits for an operator.
async fn set_timer(app: &App, name: &str, wait: Duration, error: Option<&str>) -> Result<(), BoxError> {
    let timer = NewTimer {
        id: cqrs_core::uuid::Uuid::now_v7(),
        due: DueTime::After(wait),
        key: name.to_owned(),
        command: "Join".to_owned(),
        body: br#"{"id":"lee"}"#.to_vec(),
        metadata: Metadata::default().caller("lee"),
        calendar: None,
        set_by: "Invite".to_owned(),
    };
    let write = |fired, change| TimerWrite { name: name.to_owned(), fired, change };
    let set = write(None, TimerChange::Set(timer));
    app.storage().commit(Batch { timers: vec![set], ..Batch::default() }).await?;
    if let Some(error) = error {
        let page = TimerPage { name: Some(name), ..TimerPage::default() };
        let stored = app.timers().list(&page).await?.remove(0);
        let change = TimerChange::Update { due: stored.due, error: Some(error.to_owned()) };
        let failed = write(Some(stored.firing()), change);
        app.storage().commit(Batch { timers: vec![failed], ..Batch::default() }).await?;
    }
    Ok(())
}
async fn timers(at: SocketAddr, app: &App) -> Result<(), BoxError> {
    set_timer(app, "invite-lee", Duration::from_secs(3_600), None).await?;
    set_timer(app, "invite-kim", Duration::ZERO, Some("the van is broken")).await?;
    let (status, all) = ask(at, "GET /timers").await?;
    assert_eq!((status, &all[0][0]["name"], &all[0][1]["name"]), (200, &json!("invite-kim"), &json!("invite-lee")));
    assert_eq!((&all[0][1]["set_by"], &all[0][1]["caller"]), (&json!("Invite"), &json!("lee")));
    assert!(!all[0].to_string().contains("body"), "the command may be personal: {}", all[0]);
    let place = format!("after_due={}&after_id={}", all[0][0]["due"], all[0][0]["id"]).replace('"', "");
    let (_, page) = ask(at, &format!("GET /timers?{}", place.replace(':', "%3A"))).await?;
    assert_eq!((&page[0][0]["name"], page[0][1].is_null()), (&json!("invite-lee"), true));
    for query in ["state=late", "after_id=1", "after_due=now&after_id=1"] {
        assert_eq!(ask(at, &format!("GET /timers?{query}")).await?.0, 400, "{query}");
    }
    let (_, failed) = ask(at, "GET /timers?state=failed").await?;
    assert_eq!(failed[0][0]["error"], json!("the van is broken"));
    assert_eq!(ask(at, "POST /timers/retry?name=invite-lee").await?.0, 404, "it has not failed");
    assert_eq!(ask(at, "POST /timers/retry?name=invite-kim").await?.1, [json!({ "retried": true })]);
    assert_eq!(ask(at, "POST /timers/cancel?name=invite-kim").await?.0, 400, "without a reason");
    assert_eq!(ask(at, "POST /timers/cancel?name=invite-kim&why=it").await?.1, [json!({ "cancelled": true })]);
    assert_eq!(ask(at, "POST /timers/cancel?name=invite-kim&why=it").await?.0, 404);
    let list = TimersCommand::List { state: ListedTimers::All, name: None, after: Vec::new(), limit: 9 };
    let (listed, _) = list.run(app).await?;
    assert_eq!((&listed[0]["name"], listed[1].is_null()), (&json!("invite-lee"), true));
    let cancel = TimersCommand::Cancel { name: "invite-lee".into(), why: "it".into(), by: "kim".into() };
    assert_eq!(cancel.run(app).await?, (json!({ "cancelled": true }), true));
    assert_eq!(cancel.run(app).await?, (json!({ "cancelled": false }), false));
    let end = app.storage().high_water_mark().await?;
    let log = app.storage().log(Position(0), end, ReadLimit::entries(999)).await?;
    let acts = log.iter().filter(|entry| entry.name.starts_with("timer."));
    let acts: Vec<_> = acts.map(|entry| (&*entry.name, entry.metadata.caller.as_deref())).collect();
    let by_kim = |name| (name, Some("kim"));
    assert_eq!(acts, ["timer.retried", "timer.cancelled", "timer.cancelled"].map(by_kim));
    Ok(())
}
async fn processes(at: SocketAddr, app: &App) -> Result<(), BoxError> {
    assert_eq!(ask(at, "GET /processes").await?, (200, vec![json!([])]));
    assert_eq!(ask(at, "GET /processes?process=none").await?.0, 400);
    assert_eq!(ask(at, "GET /processes/picture?process=none").await?.0, 404);
    assert_eq!(ask(at, "POST /processes/cancel?process=none&key=1&why=it").await?.0, 400);
    let list = ProcessesCommand::List { process: None, after: None, limit: 9 };
    assert_eq!(list.run(app).await?, (json!([]), true));
    Ok(())
}
/// Lists the readers of the log, with the events that each has to handle.
async fn readers(at: SocketAddr, app: &App) -> Result<(), BoxError> {
    let events = [("member.joined", 1), ("other", 2), ("member.joined", 3)].map(|(name, version)| NewEntry {
        stream: "member/lee".into(),
        version,
        id: cqrs_core::uuid::Uuid::now_v7(),
        name,
        schema: 1,
        payload: br#"{"name":"kim"}"#.to_vec(),
        metadata: Metadata::default(),
        occurred_at: Timestamp::UNIX_EPOCH,
        outgoing: None,
    });
    let end = app.storage().commit(Batch { events: events.into(), ..Batch::default() }).await?;
    let (status, listed) = ask(at, "GET /readers").await?;
    let [reader] = listed[0].as_array().ok_or("no list")?.as_slice() else { return Err(format!("{listed:?}").into()) };
    assert_eq!(
        (status, &reader["reader"], &reader["kind"]),
        (200, &json!("projection/member-card"), &json!("projection"))
    );
    assert_eq!(&reader["events"], &json!(2));
    assert!(reader["positions"].as_u64().is_some_and(|positions| (3..=end.0).contains(&positions)), "{reader}");
    assert!(reader["since"].is_string(), "{reader}");
    let (status, body) = ask(at, "GET /readers?service=other").await?;
    assert_eq!(status, 400, "{body:?}");
    Ok(())
}

/// Rebuilds a view over HTTP, switches back, and drops the other copy.
async fn views(at: SocketAddr, app: &App) -> Result<(), BoxError> {
    for id in ["ann", "bob", "kim"] {
        app.send(Join { id: id.to_owned() }).await?;
    }
    for mut follower in app.log_followers() {
        while let Step::Did(_) = follower.step().await? {}
        follower.release().await;
    }
    for (query, error) in [("?view=card", "has no view `card`"), ("?view=member-card&throttle=0", "at least 1")] {
        let (status, body) = ask(at, &format!("POST /views/rebuild{query}")).await?;
        let text = body[0]["error"].as_str().unwrap_or_default();
        assert!(status == 400 && text.contains(error), "{query}: {status} {text}");
    }
    let (status, lines) = ask(at, "POST /views/rebuild?view=member-card&throttle=1000").await?;
    let (progress, last) = (&lines[0], lines.last().ok_or("no report")?);
    assert_eq!((status, &progress["view"], &progress["copy"]), (200, &json!("member-card"), &json!(1)));
    assert_eq!((&last["end"], &last["compared"], &last["different"]), (&json!("switched"), &json!(3), &json!(0)));
    let (_, listed) = ask(at, "GET /views").await?;
    let view = &listed[0]["views"][0];
    assert_eq!((&view["serving"], &view["other"]), (&json!(1), &json!({ "copy": 0, "use": "former" })));
    let (_, refused) = ask(at, "POST /views/rebuild?view=member-card").await?;
    assert!(refused[0]["error"].as_str().is_some_and(|error| error.contains("kept")), "{refused:?}");
    let (_, lines) = ask(at, "POST /views/switch-back?view=member-card").await?;
    assert_eq!(lines.last().ok_or("no report")?["end"], json!("switched"));
    let (status, dropped) = ask(at, "POST /views/drop-old?view=member-card").await?;
    assert_eq!((status, &dropped[0]), (200, &json!({ "view": "member-card", "removed": 3 })));
    Ok(())
}

/// Withdraws another program of the service over HTTP, and by the command.
async fn programs(at: SocketAddr, app: &App) -> Result<(), BoxError> {
    app.migrate().await?;
    for handled in ["tried.other", "tried.more"] {
        let newer = json!({ "service": "tried", "readers": { "tried.mail": [handled] } });
        app.storage().declare_program(&newer.to_string()).await?;
    }
    let (status, listed) = ask(at, "GET /programs").await?;
    let newer = json!({
        "number": 2, "is_this": false, "withdrawn": false, "handles_more": { "tried.mail": ["tried.other"] },
    });
    assert_eq!((status, &listed[0][1], &listed[0][0]["is_this"]), (200, &newer, &json!(true)));
    for (query, status, error) in [
        ("?number=9", 400, "has no program 9"),
        ("?number=1", 400, "program 1 is not newer"),
        ("?number=2&service=other", 400, "parameter `service`"),
    ] {
        let (found, body) = ask(at, &format!("POST /programs/withdraw{query}")).await?;
        let text = body[0]["error"].as_str().unwrap_or_default();
        assert!(found == status && text.contains(error), "{query}: {found} {text}");
    }
    let (_, dry_run) = ask(at, "POST /programs/withdraw?number=2&dry_run=true").await?;
    let nothing = json!({
        "program": 2, "was_withdrawn": false, "still_newer": [3], "would_release": [], "has_more": false,
    });
    assert_eq!(dry_run[0], nothing);
    for was_withdrawn in [false, true] {
        let (status, done) = ask(at, "POST /programs/withdraw?number=2").await?;
        let expected = json!({ "program": 2, "was_withdrawn": was_withdrawn, "still_newer": [3] });
        assert_eq!((status, &done[0]), (200, &expected));
    }
    let done = ProgramsCommand::Withdraw { number: 3, dry_run: false }.run(app).await?;
    assert_eq!(done["still_newer"], json!([]));
    let listed = ProgramsCommand::List.run(app).await?;
    assert_eq!(
        (&listed[1]["withdrawn"], &listed[2]["withdrawn"], &listed[3]),
        (&json!(true), &json!(true), &json!(null))
    );
    Ok(())
}

async fn by_the_command(app: &App) -> Result<(), BoxError> {
    let redeliver = |rate, dry_run| ParkedCommand::Redeliver {
        reader: Some("tried.mail".to_owned()),
        key: None,
        error: None,
        class: None,
        all: false,
        after: Vec::new(),
        rate,
        dry_run,
        by: "kim".to_owned(),
    };
    let (counted, done) = redeliver(None, true).run(app).await?;
    assert!(done && counted["would_redeliver"] == 22, "{counted}");
    // The signal ends the command after the message in progress, and not the process. All keys would take 10 s.
    let stopped = redeliver(Some(2), false);
    let task = tokio::spawn({
        let app = app.clone();
        async move { stopped.print(&app).await.map_err(|error| error.to_string()) }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(Command::new("kill").args(["-TERM", &process::id().to_string()]).status().await?.success());
    let code = tokio::time::timeout(Duration::from_secs(5), task).await???;
    assert_eq!(format!("{code:?}"), format!("{:?}", process::ExitCode::FAILURE));
    let left = parked(app).await?;
    assert!((1..21).contains(&left), "{left} keys are left");
    let (rest, done) = redeliver(None, false).run(app).await?;
    assert!(!done && rest["finished"] == true && rest["failed_keys"] == 1, "{rest}");
    assert_eq!(parked(app).await?, 1);
    assert_eq!(app.parked().show("tried.mail", "stuck", 0, 9).await?.len(), 2);
    let end = app.storage().high_water_mark().await?;
    let log = app.storage().log(Position(0), end, ReadLimit::entries(usize::MAX)).await?;
    assert!(log.iter().all(|entry| entry.metadata.caller.as_deref() == Some("kim")));
    Ok(())
}
