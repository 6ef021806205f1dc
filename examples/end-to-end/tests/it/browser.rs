//! A user's scenario on the page, in a real browser.
use anyhow::{Result, ensure};
use end_to_end::Deployment;
use std::time::Duration;
use test_support::Browser;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn user_chats(system: &Deployment, browser: &Browser) -> Result<()> {
    browser.goto(&format!("{}/", system.base())).await?;
    browser.wait_for("document.body.dataset.ready === 'true'", PATIENCE).await?;
    browser.wait_for("document.querySelector('#tokens').dataset.remaining === '7'", PATIENCE).await?;
    browser.wait_for("document.querySelectorAll('[data-testid=counselor-card]').length >= 3", PATIENCE).await?;
    browser.eval("document.querySelector('[data-testid=counselor-card] a').click()").await?;
    browser.wait_for("!document.querySelector('#view-counselor').hidden", PATIENCE).await?;
    browser.wait_for("document.querySelectorAll('[data-testid=bubble]').length > 0", PATIENCE).await?;
    browser.eval("document.querySelector('#start-counsel').click()").await?;
    browser.wait_for("document.querySelector('#consent').open", PATIENCE).await?;
    let consent = "document.querySelector('#consent-sensitive').click();
        document.querySelector('#consent-birthday').value = '1990-01-01';
        document.querySelector('#consent-agree').click();";
    browser.eval(consent).await?;
    browser
        .wait_for("document.querySelectorAll('[data-author=counselor][data-state=sent]').length === 1", PATIENCE)
        .await?;
    let send_message = "const input = document.querySelector('#message-input');
        input.value = '오늘 너무 힘들었어요';
        input.dispatchEvent(new Event('input', { bubbles: true }));
        document.querySelector('#message-form').requestSubmit();";
    browser.eval(send_message).await?;
    browser
        .wait_for("document.querySelectorAll('[data-author=counselor][data-state=sent]').length === 2", PATIENCE)
        .await?;
    browser.wait_for("document.querySelector('#tokens').dataset.remaining === '6'", PATIENCE).await?;
    browser.eval("[...document.querySelectorAll('[data-testid=like]')].at(-1).click()").await?;
    let pressed = "[...document.querySelectorAll('[data-testid=like]')].at(-1).getAttribute('aria-pressed') === 'true'";
    browser.wait_for(pressed, PATIENCE).await?;
    browser.eval("location.reload()").await?;
    browser.wait_for("document.querySelectorAll('[data-testid=message]').length === 3", PATIENCE).await?;
    let complaints = browser.complaints().await?;
    ensure!(complaints.is_empty(), "the page logged errors: {complaints:?}");
    Ok(())
}
