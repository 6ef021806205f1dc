//! Tests of Redis: killed and started again, frozen, and asked with commands.

use std::time::Duration;

use anyhow::{Result, ensure};
use test_support::{Redis, Trials};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a killed Redis accepts connections on its port again, and its memory is lost", killed)
        .test("a Redis loads the snapshot that was made", snapshot)
        .test("a frozen Redis does not respond until it is resumed", frozen)
}

async fn killed(redis: Redis) -> Result<()> {
    let url = redis.url();
    ensure!(url.starts_with("redis://127.0.0.1:"), "{url}");
    assert_eq!(redis.command(&["SET", "key", "a value"])?, "+OK");
    assert_eq!(redis.command(&["GET", "key"])?, "$7\r\na value");
    assert!(redis.command(&["UNKNOWN"]).is_err() && redis.start_again().is_err());
    redis.kill()?;
    assert!(redis.command(&["PING"]).is_err() && redis.kill().is_err() && redis.freeze().is_err());
    redis.start_again()?;
    assert_eq!((redis.command(&["GET", "key"])?.as_str(), redis.url()), ("$-1", url));
    Ok(())
}

async fn snapshot(redis: Redis) -> Result<()> {
    redis.command(&["SET", "key", "1"])?;
    redis.command(&["SAVE"])?;
    redis.command(&["SET", "key", "2"])?;
    redis.kill()?;
    redis.start_again()?;
    assert_eq!(redis.command(&["GET", "key"])?, "$1\r\n1");
    Ok(())
}

async fn frozen(redis: Redis) -> Result<()> {
    redis.freeze()?;
    let asked = std::thread::scope(|scope| {
        let asking = scope.spawn(|| redis.command(&["PING"]));
        std::thread::sleep(Duration::from_millis(300));
        let has_answer = asking.is_finished();
        redis.thaw()?;
        let answer = asking.join().map_err(|_| anyhow::anyhow!("the thread panicked"))??;
        anyhow::Ok((has_answer, answer))
    })?;
    assert_eq!(asked, (false, "+PONG".to_owned()));
    Ok(())
}
