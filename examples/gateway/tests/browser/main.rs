//! Tests of the web page in a real browser with scripted services.
#[path = "../it/services.rs"]
#[allow(dead_code, reason = "the other tests need more of it")]
mod services;

use anyhow::Result;
use contracts::{NO_REMAINING_TOKENS, NO_RESERVATION};
use gateway::{Config, Gateway};
use serde_json::{Value, json};
use service_auth::{Key, Proof};
use services::{COUNSEL, COUNSELOR, MESSAGE, Services};
use std::{process::ExitCode, time::Duration};
use test_support::{Browser, Trials};
use tokio::{net::TcpListener, runtime::Runtime};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

const SOON: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    Trials::new()
        .test("a first visit leads to a conversation", a_first_visit_leads_to_a_conversation)
        .test("a person who does not consent sends nothing", a_person_who_does_not_consent_sends_nothing)
        .test("a message in danger shows where to find help", a_message_in_danger_shows_where_to_find_help)
        .test("an answer to a bubble in danger shows where to find help", an_answer_in_danger_shows_where_to_find_help)
        .test("a failed message is sent again with the same key", a_failed_message_is_sent_again_with_the_same_key)
        .test("a reply is shown without another request and after a reconnect", a_reply_is_shown_as_it_comes)
        .test("an expired session is refreshed and the request sent again", an_expired_session_is_refreshed)
        .test("a session that has ended is replaced only when the person says so", an_ended_session_is_not_replaced)
        .test("an address that cannot be decoded opens the page", an_address_that_cannot_be_decoded_opens_the_page)
        .test("a message with markup stays text", a_message_with_markup_stays_text)
        .test("a message that cannot be sent shows the reason", a_message_that_cannot_be_sent_shows_the_reason)
        .run()
}

/// A gateway, its scripted services, and a browser that shows its page.
struct Page {
    services: Services,
    server: Option<Runtime>,
    browser: Browser,
    url: String,
}
impl Page {
    /// Opens the page for a person who has consented.
    async fn open(browser: Browser, path: &str) -> Result<Self> {
        let services = Services::default();
        services.consent();
        Page::open_with(services, browser, path).await
    }
    async fn open_with(services: Services, browser: Browser, path: &str) -> Result<Self> {
        services.keep_streams();
        let (address, server) = services.start();
        let upstream = format!("http://{address}");
        let secret = Key::new("a secret for tests, 32 bytes long").unwrap();
        let config = Config::new(upstream.clone(), upstream, secret.clone(), Proof::signed(secret));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        tokio::spawn(gateway::serve(listener, Gateway::new(config)?, std::future::pending()));
        browser.goto(&format!("{url}{path}")).await?;
        let page = Page { services, server: Some(server), browser, url };
        page.see("document.body.dataset.ready === 'true'").await?;
        Ok(page)
    }
    async fn see(&self, condition: &str) -> Result<()> {
        self.browser.wait_for(condition, SOON).await
    }
    async fn click(&self, selector: &str) -> Result<()> {
        self.see(&format!("document.querySelector({selector:?})")).await?;
        self.browser.eval(&format!("document.querySelector({selector:?}).click()")).await?;
        Ok(())
    }
    /// Enters text as if the user had typed it.
    async fn write(&self, text: &str) -> Result<()> {
        let script = "const input = document.getElementById('message-input'); input.focus(); input.select()";
        self.browser.eval(&format!("{{ {script} }}")).await?;
        self.browser.call("Input.insertText", json!({ "text": text })).await?;
        Ok(())
    }
    async fn press_enter(&self) -> Result<()> {
        let key = |kind: &str| json!({ "type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r" });
        self.browser.call("Input.dispatchKeyEvent", key("keyDown")).await?;
        self.browser.call("Input.dispatchKeyEvent", key("keyUp")).await?;
        Ok(())
    }
    async fn texts(&self) -> Result<Value> {
        self.browser.eval("[...document.querySelectorAll('[data-testid=text]')].map(it => it.textContent)").await
    }
    /// Consents in the dialog that is shown before the first message.
    async fn consent(&self) -> Result<()> {
        self.see("document.getElementById('consent').open").await?;
        self.browser
            .eval(
                "document.getElementById('consent-sensitive').click(); \
                 document.getElementById('consent-birthday').value = '1990-01-01'",
            )
            .await?;
        self.click("#consent-agree").await?;
        self.see("!document.getElementById('consent').open").await
    }
    /// Waits until the page has no connection for messages.
    async fn no_stream(&self) {
        while self.services.streams() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    fn exchanges(&self) -> Vec<String> {
        let calls = self.services.calls().into_iter().filter(|call| call.method == "CreateMessage");
        calls.map(|call| call.message.split("exchange_id: ").nth(1).unwrap().to_owned()).collect()
    }
}
impl Drop for Page {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown_background();
        }
    }
}
fn chat() -> String {
    format!("#/counselors/{COUNSELOR}/counsels/{COUNSEL}")
}

async fn a_first_visit_leads_to_a_conversation(browser: Browser) -> Result<()> {
    let page = Page::open_with(Services::default(), browser, "").await?;
    page.see("document.getElementById('tokens').dataset.remaining === '6'").await?;
    page.see("document.querySelectorAll('[data-testid=counsel-item]').length === 1").await?;
    page.click("[data-testid=counselor-card] a").await?;
    page.see("document.getElementById('help').textContent.includes('109')").await?;
    page.click("[data-testid=bubble-option][data-option='2']").await?;
    page.consent().await?;
    assert!(page.services.last("GiveConsent").message.contains("kind: SensitiveData"));
    page.see(&format!("location.hash === '{}'", chat())).await?;
    assert!(page.services.last("CreateCounsel").message.contains("response_option_no: Some(2)"));
    page.see("document.querySelectorAll('[data-testid=message]').length === 1").await?;

    page.write("안녕하세요").await?;
    page.press_enter().await?;
    page.see("document.querySelectorAll('[data-testid=message][data-state=sent]').length === 3").await?;
    assert_eq!(page.texts().await?, json!(["안녕하세요", "안녕하세요", "그랬군요"]));
    page.see("document.querySelectorAll('[data-testid=like] svg path').length === 2").await?;
    page.see("document.getElementById('crisis').hidden").await?;
    page.click(&format!("[data-message-id='{MESSAGE}'] [data-testid=like]")).await?;
    page.see(&format!("document.querySelector(\"[data-message-id='{MESSAGE}'] [aria-pressed=true]\")")).await?;

    let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true });
    page.browser.call("Emulation.setDeviceMetricsOverride", phone).await?;
    page.see("document.documentElement.scrollWidth <= 360").await?;
    if let Some(folder) = std::env::var_os("GATEWAY_SCREENSHOTS") {
        page.browser.screenshot(std::path::Path::new(&folder).join("chat.png")).await?;
        page.click("#home").await?;
        page.see("!document.getElementById('view-home').hidden").await?;
        page.browser.screenshot(std::path::Path::new(&folder).join("home.png")).await?;
    }
    assert_eq!(page.browser.complaints().await?, [""; 0]);
    Ok(())
}

async fn a_person_who_does_not_consent_sends_nothing(browser: Browser) -> Result<()> {
    let page = Page::open_with(Services::default(), browser, &chat()).await?;
    page.write("안녕하세요").await?;
    page.press_enter().await?;
    page.see("document.getElementById('consent').open").await?;
    page.click("#consent-agree").await?; // nothing is filled in, so the browser refuses
    page.click("#consent-decline").await?;
    page.see("!document.getElementById('consent').open").await?;
    page.see("document.getElementById('message-input').value === '안녕하세요'").await?; // no typed text is lost
    let methods = page.services.methods();
    assert!(!methods.contains(&"GiveConsent") && !methods.contains(&"CreateMessage"), "{methods:?}");

    page.press_enter().await?;
    page.consent().await?;
    page.see("document.querySelectorAll('[data-testid=message][data-state=sent]').length === 3").await?;
    Ok(())
}

async fn a_message_in_danger_shows_where_to_find_help(browser: Browser) -> Result<()> {
    let page = Page::open(browser, &chat()).await?;
    page.write("죽고 싶어요").await?;
    page.press_enter().await?;
    page.see("!document.getElementById('crisis').hidden").await?;
    let numbers = "[...document.querySelectorAll('[data-testid=crisis-number]')].map(link => link.href)";
    assert_eq!(page.browser.eval(numbers).await?, json!(["tel:109", "tel:119"]));
    page.click("#home").await?;
    page.see("!document.getElementById('view-home').hidden").await?;
    assert_eq!(page.browser.complaints().await?, [""; 0]);
    Ok(())
}

async fn an_answer_in_danger_shows_where_to_find_help(browser: Browser) -> Result<()> {
    let page = Page::open(browser, &format!("#/counselors/{COUNSELOR}")).await?;
    page.click("[data-testid=bubble-option][data-option='1']").await?;
    page.see(&format!("location.hash === '{}'", chat())).await?;
    page.see("!document.getElementById('crisis').hidden").await?;
    let numbers = "[...document.querySelectorAll('[data-testid=crisis-number]')].map(link => link.href)";
    assert_eq!(page.browser.eval(numbers).await?, json!(["tel:109", "tel:119"]));
    assert_eq!(page.browser.complaints().await?, [""; 0]);
    Ok(())
}

async fn a_failed_message_is_sent_again_with_the_same_key(browser: Browser) -> Result<()> {
    let page = Page::open(browser, &chat()).await?;
    page.services.fail("CreateMessage", Status::unavailable("restarting"));
    page.write("들리나요").await?;
    page.press_enter().await?;
    page.see("document.querySelector('[data-state=failed]')").await?;
    page.click("[data-testid=resend]").await?;
    while page.exchanges().len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    page.see("document.querySelector('[data-state=failed]')").await?;

    // The page is closed and opened again; the idempotency key is still stored.
    page.browser.goto("about:blank").await?;
    page.browser.goto(&format!("{}{}", page.url, chat())).await?;
    page.see("document.querySelector('[data-state=failed]')").await?;
    page.services.heal();
    page.click("[data-testid=resend]").await?;
    page.see("document.querySelectorAll('[data-state=sent]').length === 3").await?;
    assert_eq!(page.texts().await?, json!(["안녕하세요", "들리나요", "그랬군요"]));
    let exchanges = page.exchanges();
    assert_eq!(exchanges.len(), 3);
    assert!(exchanges.iter().all(|exchange| *exchange == exchanges[0]), "{exchanges:?}");

    page.write("또 있어요").await?;
    page.click("#message-send").await?;
    page.see("document.querySelectorAll('[data-state=sent]').length === 5").await?;
    assert_ne!(page.exchanges()[3], exchanges[0]);
    Ok(())
}

async fn a_reply_is_shown_as_it_comes(browser: Browser) -> Result<()> {
    let page = Page::open(browser, &chat()).await?;
    page.see("document.getElementById('messages').dataset.live === 'true'").await?;
    let lists = || page.services.methods().into_iter().filter(|method| *method == "FindMessages").count();
    let before = lists();
    page.services.add_message("m2", "거기 있어요?", true);
    page.services.add_message("m3", "네, 듣고 있어요", false);
    page.see("document.querySelectorAll('[data-testid=message]').length === 3").await?;
    assert_eq!(page.texts().await?, json!(["안녕하세요", "거기 있어요?", "네, 듣고 있어요"]));

    // The connection is lost, and a message comes before the browser has connected again.
    page.services.end_streams();
    page.services.add_message("m4", "돌아왔네요", false);
    page.see("document.querySelectorAll('[data-testid=message]').length === 4").await?;
    page.see("document.getElementById('messages').dataset.live === 'true'").await?;
    page.services.add_message("m5", "다행이에요", false);
    page.see("document.querySelectorAll('[data-testid=message]').length === 5").await?;
    let expected = json!(["안녕하세요", "거기 있어요?", "네, 듣고 있어요", "돌아왔네요", "다행이에요"]);
    assert_eq!(page.texts().await?, expected, "no message is missing, and none is shown twice");
    assert!(page.services.last("WatchMessages").message.contains("resume: Some("), "the browser has resumed");
    assert_eq!(lists(), before, "the page has not asked for the list again");

    // A message that was sent here comes both as the response and as an event.
    page.services.delay("CreateMessage", Duration::from_secs(1));
    page.write("또 왔어요").await?;
    page.press_enter().await?;
    while page.exchanges().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let exchange = page.exchanges()[0].split('"').nth(1).unwrap().to_owned();
    page.services.add_message(&exchange, "또 왔어요", true);
    page.services.add_message(&format!("{exchange}-reply"), "그랬군요", false);
    page.see("document.querySelectorAll('[data-testid=message][data-state=sent]').length === 7").await?;
    page.see("document.getElementById('typing').hidden").await?;
    assert_eq!(page.texts().await?.as_array().map(Vec::len), Some(7), "each is shown once");

    // A tab that is not seen has no connection, and shows what it has missed once it is seen again.
    let turn = |hidden: bool| {
        let hidden = format!("Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }})");
        format!("{hidden}; document.dispatchEvent(new Event('visibilitychange'))")
    };
    page.browser.eval(&turn(true)).await?;
    page.no_stream().await;
    page.services.add_message("m6", "어디 갔어요?", false);
    page.browser.eval(&turn(false)).await?;
    page.see("document.querySelectorAll('[data-testid=message]').length === 8").await?;

    page.click("#home").await?;
    page.see("!document.getElementById('view-home').hidden").await?;
    page.no_stream().await;
    Ok(())
}

async fn a_message_with_markup_stays_text(browser: Browser) -> Result<()> {
    let page = Page::open(browser, &chat()).await?;
    let markup = "<img src=x onerror=document.title='gone'>";
    page.write(markup).await?;
    page.press_enter().await?;
    page.see("document.querySelectorAll('[data-state=sent]').length === 3").await?;
    assert_eq!(page.texts().await?[1], markup);
    assert_eq!(page.browser.eval("document.querySelectorAll('main img').length").await?, 0);
    assert_eq!(page.browser.complaints().await?, [""; 0]);
    Ok(())
}

async fn a_message_that_cannot_be_sent_shows_the_reason(browser: Browser) -> Result<()> {
    let page = Page::open(browser, &chat()).await?;
    page.see("document.getElementById('message-send').disabled").await?;
    page.write(&"가".repeat(81)).await?;
    page.see("document.getElementById('message-count').dataset.over === 'true'").await?;
    page.press_enter().await?;
    assert!(page.exchanges().is_empty());
    page.write(&"🙂".repeat(80)).await?;
    page.see("document.getElementById('message-count').textContent === '80 / 80'").await?;
    page.see("!document.getElementById('message-send').disabled").await?;

    // The Enter key that completes a syllable must not send the message.
    let composing =
        "new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true })";
    page.browser.eval(&format!("document.getElementById('message-input').dispatchEvent({composing})")).await?;
    assert!(page.exchanges().is_empty());

    let details = ErrorDetails::with_error_info(NO_REMAINING_TOKENS, "cqrs", []);
    let refused = Status::with_error_details(Code::ResourceExhausted, "none left", details);
    page.services.fail("ReserveTokens", refused);
    // The message is sent all the same, since one that speaks of a danger needs no token.
    let details = ErrorDetails::with_error_info(NO_RESERVATION, "cqrs", []);
    let no_hold = Status::with_error_details(Code::FailedPrecondition, "no hold", details);
    page.services.fail("CreateMessage", no_hold);
    page.press_enter().await?;
    page.see("document.getElementById('notice').dataset.code === 'NO_REMAINING_TOKENS'").await?;
    page.see("!document.getElementById('notice').hidden").await?;
    page.see("document.getElementById('notice-text').textContent.includes('109')").await?;
    page.see("document.getElementById('message-input').value.length === 160").await?; // no typed text is lost
    page.see("document.querySelectorAll('[data-testid=message]').length === 1").await?;
    Ok(())
}

/// The browser removes the cookie of the access token when it expires.
async fn an_expired_session_is_refreshed(browser: Browser) -> Result<()> {
    let page = Page::open(browser, "").await?;
    page.browser.call("Network.deleteCookies", json!({ "name": "accessToken", "url": page.url })).await?;
    page.services.forget();
    page.click("[data-testid=counselor-card] a").await?;
    page.see("document.querySelector('[data-testid=bubble]')").await?;
    let rotated = page.services.methods().into_iter().filter(|method| *method == "RotateRefreshToken").count();
    assert_eq!(rotated, 1, "the requests of the view share one refresh: {:?}", page.services.methods());
    assert!(!page.services.methods().contains(&"InitializeUser"));
    page.see("document.getElementById('notice').hidden").await?;
    Ok(())
}

async fn an_ended_session_is_not_replaced(browser: Browser) -> Result<()> {
    let page = Page::open(browser, "").await?;
    let registered = page.services.registered();
    page.browser.call("Network.deleteCookies", json!({ "name": "accessToken", "url": page.url })).await?;
    page.services.end_sessions();
    page.browser.eval("location.reload()").await?;
    page.see("document.getElementById('notice').dataset.code === 'REFRESH_TOKEN_NOT_FOUND'").await?;
    assert_eq!(page.services.registered(), registered, "nobody becomes a new person unasked");
    page.click("#notice-retry").await?;
    page.see("document.body.dataset.ready === 'true'").await?;
    assert_eq!(page.services.registered(), registered + 1);
    Ok(())
}

async fn an_address_that_cannot_be_decoded_opens_the_page(browser: Browser) -> Result<()> {
    let page = Page::open(browser, "#/counselors/%FF/counsels/%").await?;
    page.see("!document.getElementById('view-home').hidden").await?;
    page.see("document.querySelector('[data-testid=counselor-card]')").await?;
    Ok(())
}
