//! Tests of the browser: pages, scripts, conditions and reported errors.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use test_support::{Browser, Trials};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_secs(10);

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a page is opened, scripted and captured", page)
        .test("a script may await, throw and log errors", scripts)
        .test("a condition is awaited across a navigation", navigation)
        .test("a condition that never holds fails with its last value", in_vain)
}

async fn page(browser: Browser) -> Result<()> {
    browser.goto("data:text/html,<title>One</title><button onclick='document.title = \"Two\"'>go</button>").await?;
    assert_eq!(browser.eval("document.title").await?, "One");
    browser.eval("document.querySelector('button').click()").await?;
    browser.wait_for("document.title === 'Two'", SOON).await?;
    assert_eq!(browser.eval("({ a: [1, null, 'x'] })").await?, json!({ "a": [1, null, "x"] }));

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("page.png");
    browser.screenshot(&file).await?;
    let image = std::fs::read(file)?;
    assert!(image.starts_with(b"\x89PNG") && image.len() > 1000);
    Ok(())
}

async fn scripts(browser: Browser) -> Result<()> {
    assert_eq!(browser.eval("new Promise(done => setTimeout(() => done(7), 50))").await?, 7);
    assert_eq!(browser.eval("await Promise.resolve(8)").await?, 8);
    let rejected = browser.eval("Promise.reject(new Error('no, thank you'))").await.unwrap_err();
    assert!(rejected.to_string().contains("no, thank you"), "{rejected}");
    let thrown = browser.eval("(() => { throw new Error('no such luck') })()").await.unwrap_err();
    assert!(thrown.to_string().contains("no such luck"), "{thrown}");
    assert_eq!(browser.complaints().await?, [""; 0], "errors of the test's own scripts are not recorded");
    browser.eval("setTimeout(() => undefined_function()); console.error('logged', 1)").await?;
    browser.eval("new Promise(done => setTimeout(done, 50))").await?;
    let complaints = browser.complaints().await?;
    assert_eq!(complaints[0], "logged 1");
    assert!(complaints[1].contains("undefined_function is not defined"), "{complaints:?}");
    Ok(())
}

async fn navigation(browser: Browser) -> Result<()> {
    let site =
        serve("<script>setTimeout(() => location.pathname == '/' && (location = '/next'), 200)</script>hi").await?;
    browser.goto(&site).await?;
    browser.wait_for("location.pathname === '/next'", SOON).await?;
    assert_eq!(browser.eval("(await fetch('/x')).status").await?, 200);
    let refused = browser.goto("http://127.0.0.1:1/").await.unwrap_err();
    assert!(refused.to_string().contains("ERR_"), "{refused}");
    Ok(())
}

async fn in_vain(browser: Browser) -> Result<()> {
    browser.goto("data:text/html,what the page shows").await?;
    let error = browser.wait_for("document.title === 'x'", Duration::from_millis(200)).await.unwrap_err().to_string();
    assert!(error.contains("still false: document.title === 'x'") && error.contains("what the page shows"), "{error}");
    let error = browser.wait_for("nothing.at.all", Duration::from_millis(200)).await.unwrap_err().to_string();
    assert!(error.contains("nothing is not defined"), "{error}");
    Ok(())
}

/// Starts a site that returns this page for every path.
async fn serve(page: &'static str) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let site = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut visitor, _)) = listener.accept().await {
            tokio::spawn(async move {
                let length = page.len();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length:";
                let _ = visitor.read(&mut [0; 4096]).await;
                visitor.write_all(format!("{head} {length}\r\n\r\n{page}").as_bytes()).await
            });
        }
    });
    Ok(site)
}
