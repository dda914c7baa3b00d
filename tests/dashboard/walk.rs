//! As a new safeguarding lead would: sign in, find out which device tried
//! self-harm sites yesterday, note it, export the evidence, verify it.

use std::path::PathBuf;

use jiff::Timestamp;

use super::browser::Browser;
use super::client::{Account, Client, PASSWORD, Pages};
use super::seed::{self, TRIED, TRIED_NAME};
use crate::serve::eventually;

/// What it may take.
const MOST_CLICKS: usize = 8;

#[test]
fn a_new_lead_needs_few_clicks_from_the_door_to_the_evidence() {
    let Some(browser) = Browser::start("the walk of a new safeguarding lead") else {
        return;
    };
    let folder = seed::fortnight(&seed::plan(), Timestamp::now());
    let pages = Pages::start(&folder);
    // The second factor was set up at the first sign-in.
    let mut account = Account::make(&folder, "dsl");
    Client::as_account(&pages, &mut account);
    let downloads = tempfile::tempdir().unwrap();
    browser.download_to(downloads.path());
    browser.be(1280, false);
    let mut clicks = 0;
    let mut click = |press: &dyn Fn()| {
        press();
        clicks += 1;
    };

    browser.open(&format!("http://{}/", pages.address));
    browser.fill("#account", "dsl");
    browser.fill("#password", PASSWORD);
    click(&|| browser.press("Sign in"));
    browser.fill("#code", &account.code());
    click(&|| browser.press("Continue"));
    browser.wait_for("Sensitive incidents today");
    click(&|| browser.click("a[href='/incidents?range=yesterday']"));
    browser.wait_for(TRIED_NAME);
    click(&|| browser.press_beside("Suicide and self-harm"));
    browser.wait_for("Not reviewed yet");
    assert!(browser.text().contains(TRIED_NAME), "{}", browser.text());
    browser.fill(
        "#note",
        "Spoke to the pupil's tutor; a meeting is on Monday.",
    );
    click(&|| browser.press("Add note"));
    browser.wait_for("The note has been added.");
    browser.picture("walk-noted");
    click(&|| browser.press("Export as evidence"));
    browser.fill("#why", "Asked for by the head");
    browser.picture("walk-export");
    click(&|| browser.press("Download a signed file"));
    let file: PathBuf = eventually("a signed file", || {
        let mut files = std::fs::read_dir(downloads.path()).unwrap().flatten();
        let file = files.find(|file| file.path().extension().is_some_and(|e| e == "zip"));
        file.map(|file| file.path())
    });
    assert!(clicks <= MOST_CLICKS, "{clicks}");

    let verified = folder.run(&["report", "verify", file.to_str().unwrap()]);
    assert!(verified.status.success(), "{verified:?}");
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&file).unwrap()).unwrap();
    let mut text = String::new();
    for name in ["rows.csv", "notes.json"] {
        if let Ok(mut file) = zip.by_name(name) {
            std::io::Read::read_to_string(&mut file, &mut text).unwrap();
        }
    }
    assert!(text.contains(TRIED), "{text}");
}
