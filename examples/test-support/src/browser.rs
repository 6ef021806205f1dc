//! A headless Chromium that a test drives by the DevTools protocol.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::chromium::Chromium;
use crate::machine::{Scratch, blocking};
use crate::process::{self, Process};

/// The time limit of starting Chromium, and of each command.
const LIMIT: Duration = Duration::from_secs(60);
/// The interval at which a condition is evaluated.
const LOOK: Duration = Duration::from_millis(50);

/// A page in its own headless Chromium with an empty profile. Dropping it ends the browser.
///
/// ```no_run
/// # async fn example() -> anyhow::Result<()> {
/// use std::time::Duration;
/// use test_support::Browser;
///
/// let browser = Browser::open("http://127.0.0.1:8080/").await?;
/// browser.eval("document.querySelector('#name').value = 'Kim'; document.forms[0].requestSubmit()").await?;
/// browser.wait_for("document.body.innerText.includes('Hello, Kim')", Duration::from_secs(5)).await?;
/// browser.screenshot("hello.png").await?;
/// assert_eq!(browser.complaints().await?, [""; 0]);
/// # Ok(()) }
/// ```
pub struct Browser {
    page: Mutex<Page>,
    process: Process,
    profile: Scratch,
}

/// The connection to the page.
struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: Option<String>,
    calls: u64,
    complaints: Vec<Complaint>,
}

/// An error that the page reported.
struct Complaint {
    text: String,
    exception: Option<u64>,
}

impl Browser {
    /// Starts a browser and opens a page in it.
    ///
    /// # Errors
    /// Fails when there is no Chromium, when it does not start, or when the page does not load.
    pub async fn open(url: &str) -> anyhow::Result<Browser> {
        let chromium = Chromium::find()?;
        let profile = Scratch::new("chromium")?;
        let mut command = process::guarded(chromium.path(), "KILL", None);
        command.args(Chromium::flags(profile.path())).args(["--remote-debugging-port=0", "about:blank"]);
        command.env("HOME", profile.path()).process_group(0); // its own process group, so that its helper processes end with it
        let mut process = Process::spawn(command, &profile.join("log"))?;

        // Chromium writes its port and the path of its endpoint to this file
        let port_file = profile.join("DevToolsActivePort");
        let endpoint = || fs::read_to_string(&port_file).unwrap_or_default();
        let complete = || endpoint().lines().count() == 2;
        blocking(|| process.wait_until(LIMIT, complete)).context("Chromium does not start")?;
        let endpoint = format!("ws://127.0.0.1:{}", endpoint().replacen('\n', "", 1));
        let connected = timeout(LIMIT, tokio_tungstenite::connect_async(endpoint.trim())).await;
        let (socket, _) = connected.context("Chromium does not answer")?.context("Chromium's DevTools")?;

        let page = Page { socket, session: None, calls: 0, complaints: Vec::new() };
        let browser = Browser { page: Mutex::new(page), process, profile };
        browser.attach().await.context("Chromium has no page")?;
        browser.goto(url).await?;
        Ok(browser)
    }

    /// Attaches to the first page and subscribes to its errors.
    async fn attach(&self) -> anyhow::Result<()> {
        let targets = self.call("Target.getTargets", json!({})).await?;
        let mut targets = targets["targetInfos"].as_array().into_iter().flatten();
        let page = targets.find(|target| target["type"] == "page").context("no target is a page")?;
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        let session = self.call("Target.attachToTarget", attach).await?;
        self.page.lock().await.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            self.call(domain, json!({})).await?;
        }
        Ok(())
    }

    /// Opens a page and waits until it is loaded.
    ///
    /// # Errors
    /// Fails when the address cannot be reached, or does not finish loading within a minute.
    pub async fn goto(&self, url: &str) -> anyhow::Result<()> {
        let answer = self.call("Page.navigate", json!({ "url": url })).await?;
        if let Some(error) = answer["errorText"].as_str() {
            bail!("cannot open {url}: {error}");
        }
        self.wait_for("document.readyState === 'complete'", LIMIT).await
    }

    /// Runs JavaScript in the page and returns its value as JSON; `await` works, and a promise is awaited.
    ///
    /// # Errors
    /// Fails when the script throws (the error contains the cause and the place), or does not finish within a minute.
    pub async fn eval(&self, script: &str) -> anyhow::Result<Value> {
        let evaluate = json!({
            "expression": script,
            "replMode": true,    // allows await outside of functions
            "userGesture": true, // otherwise the page may not open windows or play sound
        });
        let mut answer = self.run(script, "Runtime.evaluate", evaluate).await?;
        if let Some(object) = answer["result"].get("objectId") {
            // an object is returned as a reference, and its value may be a promise
            let resolve = json!({
                "functionDeclaration": "async function() { return await this }",
                "objectId": object,
                "awaitPromise": true,
                "returnByValue": true,
            });
            answer = self.run(script, "Runtime.callFunctionOn", resolve).await?;
        }
        Ok(answer["result"]["value"].take())
    }

    /// Makes a call that runs a script, which may throw.
    async fn run(&self, script: &str, method: &str, params: Value) -> anyhow::Result<Value> {
        let answer = self.call(method, params).await?;
        match answer.get("exceptionDetails") {
            Some(thrown) => bail!("{}\nin: {script}", exception(thrown)),
            None => Ok(answer),
        }
    }

    /// Waits until a JavaScript condition is truthy, also across navigations.
    ///
    /// # Errors
    /// Fails when the condition does not hold within `limit`. The error contains its last value and the text of the
    /// page.
    pub async fn wait_for(&self, condition: &str, limit: Duration) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            // evaluation fails while the page is being replaced, which counts as not yet true
            let seen = match self.eval(&format!("!!({condition})")).await {
                Ok(Value::Bool(true)) => return Ok(()),
                Ok(value) => value.to_string(),
                Err(error) => format!("{error:#}"),
            };
            if started.elapsed() > limit {
                let shown = self.eval("location.href + '\\n' + document.body?.innerText.slice(0, 2000)").await;
                let shown = shown.as_ref().ok().and_then(Value::as_str).unwrap_or("(nothing)");
                let complaints = self.complaints().await.unwrap_or_default().join("\n");
                bail!("after {limit:?} still {seen}: {condition}\nthe page is {shown}\n{complaints}");
            }
            sleep(LOOK).await;
        }
    }

    /// Saves a screenshot of the page as a PNG file.
    ///
    /// # Errors
    /// Fails when the file cannot be written.
    pub async fn screenshot(&self, path: impl AsRef<Path>) -> anyhow::Result<()> {
        let answer = self.call("Page.captureScreenshot", json!({ "format": "png" })).await?;
        let data = answer["data"].as_str().context("a screenshot without data")?;
        let image = base64::engine::general_purpose::STANDARD.decode(data)?;
        let path = path.as_ref();
        fs::write(path, image).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Returns the errors of the page so far: uncaught exceptions, `console.error`, and errors that Chromium logged,
    /// such as
    /// a failed request.
    ///
    /// # Errors
    /// Fails when the browser has ended.
    pub async fn complaints(&self) -> anyhow::Result<Vec<String>> {
        self.call("Runtime.getIsolateId", json!({})).await?; // all earlier events are read before its response
        Ok(self.page.lock().await.complaints.iter().map(|complaint| complaint.text.clone()).collect())
    }

    /// Sends any other command of the [DevTools protocol](https://chromedevtools.github.io/devtools-protocol/), such as
    /// typing a key or emulating a phone.
    ///
    /// # Errors
    /// Fails when the browser refuses the command, or has ended.
    ///
    /// ```no_run
    /// # async fn example(browser: test_support::Browser) -> anyhow::Result<()> {
    /// let phone = serde_json::json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true });
    /// browser.call("Emulation.setDeviceMetricsOverride", phone).await?;
    /// # Ok(()) }
    /// ```
    pub async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let mut page = self.page.lock().await;
        let called = timeout(LIMIT, page.call(method, params)).await;
        called.map_err(|_| anyhow!("no response within {LIMIT:?}")).flatten().with_context(|| method.to_owned())
    }
}

impl Page {
    async fn call(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.socket.send(Message::text(message.to_string())).await?;
        loop {
            let received = self.socket.next().await.context("the browser is gone")??;
            let Message::Text(text) = received else { continue };
            let mut message: Value = serde_json::from_str(&text)?;
            if message["id"] == id {
                ensure!(
                    message.get("error").is_none(),
                    "{}",
                    message["error"]["message"].as_str().unwrap_or("refused")
                );
                return Ok(message["result"].take());
            }
            self.record(&message);
        }
    }

    /// Records an error event.
    fn record(&mut self, event: &Value) {
        let params = &event["params"];
        if event["method"] == "Runtime.exceptionRevoked" {
            // the rejected promise was handled later
            let revoked = params["exceptionId"].as_u64();
            self.complaints.retain(|complaint| complaint.exception.is_none() || complaint.exception != revoked);
        } else if let Some(text) = complaint(event) {
            let exception = params["exceptionDetails"]["exceptionId"].as_u64();
            self.complaints.push(Complaint { text, exception });
        }
    }
}

/// Returns the error text of an event, if it reports an error.
fn complaint(event: &Value) -> Option<String> {
    let params = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(exception(&params["exceptionDetails"])),
        "Runtime.consoleAPICalled" if params["type"] == "error" => {
            let logged = params["args"].as_array()?.iter().map(|arg| match (&arg["description"], &arg["value"]) {
                (Value::String(description), _) => description.clone(),
                (_, Value::String(value)) => value.clone(),
                (_, value) => value.to_string(),
            });
            Some(logged.collect::<Vec<_>>().join(" "))
        }
        "Log.entryAdded" if params["entry"]["level"] == "error" => {
            let text = |field: &str| params["entry"][field].as_str().unwrap_or_default();
            Some(format!("{} {}", text("text"), text("url")).trim().to_owned())
        }
        _ => None,
    }
}

fn exception(details: &Value) -> String {
    let described = details["exception"]["description"].as_str().or(details["exception"]["value"].as_str());
    described.or(details["text"].as_str()).unwrap_or("an exception").to_owned()
}

impl Drop for Browser {
    fn drop(&mut self) {
        blocking(|| {
            let _ = self.process.kill_group();
            // its helper processes may still write for a moment
            for _ in 0..50 {
                match fs::remove_dir_all(self.profile.path()) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    _ => break,
                }
            }
        });
    }
}
