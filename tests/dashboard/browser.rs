//! A browser that a test drives: headless Chromium through its driver, by the
//! W3C's WebDriver protocol.
//!
//! The protocol is HTTP and JSON, so a client of it is these few lines. Driver
//! and browser are a process of their own each, ended with the test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use crate::serve::{eventually, has};

/// Where the script of axe-core is, if `.ci/run` has fetched it.
const AXE: &str = "target/ci-tools/package/axe.min.js";
/// Pictures for somebody to look at.
const SCREENSHOTS: &str = "target/screenshots";

/// One window of a browser.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    agent: ureq::Agent,
    axe: Option<String>,
    profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one; says so if there is none.
    pub(crate) fn start(what: &str) -> Option<Self> {
        if !has("chromedriver", what) || !has("chromium", what) {
            return None;
        }
        let axe = std::fs::read_to_string(root().join(AXE)).ok();
        if axe.is_none() {
            eprintln!("SKIPPED: accessibility of {what}: {AXE} is not there");
        }
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port: u16 = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, rest) = line.split_once("successfully on port ")?;
                rest.trim_end_matches('.').parse().ok()
            })
            .expect("chromedriver says its port");
        // It must never wait for somebody to read what it says.
        std::thread::spawn(move || lines.for_each(drop));
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        let mut browser = Self {
            driver,
            session: format!("http://127.0.0.1:{port}/session"),
            agent,
            axe,
            profile,
        };
        let arguments = [
            "--headless=new".to_owned(),
            // As root it has no sandbox.
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--hide-scrollbars".to_owned(),
            // Nothing but this machine can be reached; examples are led here, as
            // blocked sites are.
            "--host-resolver-rules=MAP *.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
                .to_owned(),
            format!(
                "--user-data-dir={}",
                browser.profile.path().join("p").display()
            ),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:chromeOptions": {"args": arguments, "binary": "/usr/bin/chromium"},
        }}});
        let made = browser.post("", &wanted);
        let id = made["sessionId"].as_str().expect("a session").to_owned();
        browser.session = format!("{}/{id}", browser.session);
        Some(browser)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.try_post(path, body)
            .unwrap_or_else(|error| panic!("{path} {body}: {error}"))
    }

    fn try_post(&self, path: &str, body: &Value) -> Result<Value, Value> {
        let url = format!("{}{path}", self.session);
        let post = self.agent.post(&url);
        let post = post.header("content-type", "application/json; charset=utf-8");
        let response = post.send(body.to_string()).unwrap();
        let done = response.status().is_success();
        let value = value(response);
        if done { Ok(value) } else { Err(value) }
    }

    fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.session);
        value(self.agent.get(&url).call().unwrap())
    }

    /// Opens a page and waits until it is there.
    pub(crate) fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Goes on as somebody who has signed in elsewhere. `place` is any page of
    /// the same server.
    pub(crate) fn become_(&self, place: &str, client: &Client) {
        self.open(place);
        let url = format!("{}/cookie", self.session);
        self.agent.delete(&url).call().unwrap();
        for (name, value) in &client.cookies {
            let cookie = json!({"cookie": {"name": name, "value": value, "httpOnly": true}});
            self.post("/cookie", &cookie);
        }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> String {
        self.get("/url").as_str().unwrap().to_owned()
    }

    /// Runs a script in the page, which its own policy would forbid it.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// The text that can be seen.
    pub(crate) fn text(&self) -> String {
        let text = self.run("return document.body.innerText");
        text.as_str().unwrap_or_default().to_owned()
    }

    fn find(&self, css: &str) -> Option<String> {
        let wanted = json!({"using": "css selector", "value": css});
        let found = self.try_post("/element", &wanted).ok()?;
        let id = found.as_object()?.values().next()?.as_str()?;
        Some(id.to_owned())
    }

    fn element(&self, css: &str) -> String {
        self.find(css)
            .unwrap_or_else(|| panic!("{css} is not on {}:\n{}", self.address(), self.text()))
    }

    /// Whether something is on the page.
    pub(crate) fn has(&self, css: &str) -> bool {
        self.find(css).is_some()
    }

    /// Types into a field, in place of what stood there.
    pub(crate) fn fill(&self, css: &str, text: &str) {
        let element = self.element(css);
        self.post(&format!("/element/{element}/clear"), &json!({}));
        let keys = json!({ "text": text });
        self.post(&format!("/element/{element}/value"), &keys);
    }

    /// Clicks, as a person would: what cannot be seen cannot be clicked.
    pub(crate) fn click(&self, css: &str) {
        let element = self.element(css);
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    /// Clicks on the link or button with this text.
    pub(crate) fn press(&self, text: &str) {
        self.press_at(
            text,
            &format!("//*[self::a or self::button][contains(normalize-space(.), '{text}')]"),
        );
    }

    /// Clicks on the first link beside this text in a list.
    pub(crate) fn press_beside(&self, text: &str) {
        self.press_at(text, &format!("//li[contains(., '{text}')]//a"));
    }

    fn press_at(&self, text: &str, path: &str) {
        let wanted = json!({"using": "xpath", "value": path});
        let found = self.try_post("/element", &wanted).unwrap_or_else(|_| {
            panic!("no \"{text}\" on {}:\n{}", self.address(), self.text());
        });
        let id = found.as_object().unwrap().values().next().unwrap();
        let id = id.as_str().unwrap();
        self.post(&format!("/element/{id}/click"), &json!({}));
    }

    /// Waits until the page says this.
    pub(crate) fn wait_for(&self, text: &str) {
        eventually(&format!("\"{text}\" on the page"), || {
            self.text().contains(text).then_some(())
        });
    }

    /// How wide the window is, and whether its user prefers dark pages.
    pub(crate) fn be(&self, width: u32, dark: bool) {
        let metrics = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600,
        }});
        self.post("/goog/cdp/execute", &metrics);
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"cmd": "Emulation.setEmulatedMedia", "params": {
            "features": [{"name": "prefers-color-scheme", "value": scheme}],
        }});
        self.post("/goog/cdp/execute", &media);
    }

    /// Where files go that a page gives.
    pub(crate) fn download_to(&self, folder: &Path) {
        let allow = json!({"cmd": "Browser.setDownloadBehavior", "params": {
            "behavior": "allow", "downloadPath": folder,
        }});
        self.post("/goog/cdp/execute", &allow);
    }

    /// The whole page as a picture, for somebody to look at.
    pub(crate) fn picture(&self, name: &str) {
        let capture = json!({"cmd": "Page.captureScreenshot", "params": {
            "format": "png", "captureBeyondViewport": true, "optimizeForSpeed": true,
        }});
        let picture = self.post("/goog/cdp/execute", &capture);
        let bytes = picture["data"].as_str().unwrap();
        let bytes = data_encoding::BASE64.decode(bytes.as_bytes()).unwrap();
        save(&format!("{name}.png"), &bytes);
    }

    /// The page as it is printed.
    pub(crate) fn paper(&self, name: &str) -> Vec<u8> {
        let printed = self.post("/print", &json!({}));
        let bytes = printed.as_str().unwrap().as_bytes();
        let bytes = data_encoding::BASE64.decode(bytes).unwrap();
        save(&format!("{name}.pdf"), &bytes);
        bytes
    }

    /// What axe-core finds to be serious or worse, in words.
    pub(crate) fn barriers(&self) -> Vec<String> {
        self.found_by_axe(&json!([
            "wcag2a",
            "wcag2aa",
            "wcag21a",
            "wcag21aa",
            "wcag22aa",
            "best-practice"
        ]))
    }

    /// The same of colours alone: in another scheme nothing else is different.
    pub(crate) fn faint(&self) -> Vec<String> {
        self.found_by_axe(&json!(["color-contrast"]))
    }

    /// By the names of rules or by what they are tagged with.
    fn found_by_axe(&self, only: &Value) -> Vec<String> {
        let Some(axe) = &self.axe else {
            return Vec::new();
        };
        if self.run("return typeof axe") == "undefined" {
            self.run(axe);
        }
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, {runOnly: arguments[0], resultTypes: ['violations']})
                .then(done, error => done({error: String(error)}));";
        let found = self.post("/execute/async", &json!({"script": script, "args": [only]}));
        assert!(found["violations"].is_array(), "{found}");
        let grave = |violation: &&Value| {
            matches!(violation["impact"].as_str(), Some("serious" | "critical"))
        };
        let violations = found["violations"].as_array().unwrap().iter();
        let words = violations.filter(grave).map(|violation| {
            let node = &violation["nodes"][0];
            format!(
                "{}: {} ({} {})",
                violation["id"], violation["help"], node["html"], node["failureSummary"]
            )
        });
        words.collect()
    }

    /// Whether there is somebody who finds barriers.
    pub(crate) fn has_axe(&self) -> bool {
        self.axe.is_some()
    }

    /// Whether the page is wider than a screen of this width: on a phone the
    /// window grows with its page.
    pub(crate) fn is_wider_than(&self, width: u32) -> bool {
        let is = self.run("return document.documentElement.scrollWidth");
        is.as_u64().unwrap() > u64::from(width)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its session, the driver when it is told.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// What the driver answers; a picture of a long page is large.
fn value(mut response: ureq::http::Response<ureq::Body>) -> Value {
    let body = response.body_mut().with_config().limit(100 << 20);
    let text = body.read_to_string().unwrap();
    let mut answer: Value = serde_json::from_str(&text).unwrap();
    answer["value"].take()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn save(name: &str, bytes: &[u8]) {
    let folder: &Path = &root().join(SCREENSHOTS);
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
}
