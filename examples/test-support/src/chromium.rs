//! Finds Chromium, with the flags for running it without a screen and inside a container.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::machine;
use crate::part::{Part, Unavailable};

/// The installed Chromium. [`Browser`](crate::Browser) drives it; this type is for tests that start it themselves.
///
/// ```no_run
/// # use test_support::Chromium;
/// let chromium = Chromium::find()?;
/// let mut screenshot = std::process::Command::new(chromium.path());
/// screenshot.args(Chromium::flags("profile".as_ref())).args(["--screenshot=page.png", "http://127.0.0.1:8080/"]);
/// # Ok::<(), test_support::Unavailable>(())
/// ```
#[derive(Debug, Clone)]
pub struct Chromium {
    path: PathBuf,
}

impl Chromium {
    /// Finds Chromium or Google Chrome: the program in `CQRS_TEST_CHROMIUM`, or one on the `PATH`.
    ///
    /// # Errors
    /// Fails when there is none.
    pub fn find() -> Result<Chromium, Unavailable> {
        let named = machine::variable("CQRS_TEST_CHROMIUM").map(PathBuf::from);
        if let Some(wrong) = named.as_ref().filter(|path| !machine::is_program(path)) {
            let reason = format!("CQRS_TEST_CHROMIUM is {}, which is not a program", wrong.display());
            return Err(Part::Chromium.broken(reason));
        }
        let path = named.or_else(|| {
            machine::program(&["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"])
        });
        path.map(|path| Chromium { path })
            .ok_or_else(|| Part::Chromium.missing("no chromium or google-chrome on the PATH; apt-get install chromium"))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the flags for a headless browser with its own profile, which works in a container and makes no requests
    /// of its own.
    pub fn flags(profile: &Path) -> Vec<OsString> {
        let mut flags: Vec<OsString> = [
            "--headless",
            "--no-sandbox", // containers rarely allow one, and only the project's own pages are opened
            "--disable-dev-shm-usage", // /dev/shm is too small in most containers
            "--disable-gpu",
            "--disable-quic",
            "--no-proxy-server", // pages are on loopback
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,800",
        ]
        .map(OsString::from)
        .into();
        let mut profile_flag = OsString::from("--user-data-dir=");
        profile_flag.push(profile);
        flags.push(profile_flag);
        flags
    }
}
