//! Which documents a device gets, and what a technician must know of each.

use super::endpoint::{Endpoint, Subject};
use super::{apple, policies, windows};

const SYSTEMS: &str =
    "For devices whose system asks this resolver already: no other in the browser.";

/// For whose management.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// iPads, iPhones and Macs
    Apple,
    /// Windows 11 and Server 2022
    Windows,
    /// Android
    Android,
    /// Chrome, ChromeOS and Edge
    Chrome,
    /// Firefox
    Firefox,
    /// All of them
    All,
}

/// One file for one kind of management.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What its file's name ends with, after the device's id.
    pub ending: &'static str,
    /// What it says.
    pub text: String,
    /// What to know before it is used.
    pub note: String,
}

/// Why there is no document of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lacking {
    /// Apple takes either.
    #[error("needs DNS over HTTPS, or DNS over TLS at port 853 ([listen] https, tls)")]
    Either,
    /// Windows and browsers.
    #[error("needs DNS over HTTPS ([listen] https)")]
    Https,
    /// Android.
    #[error("needs DNS over TLS at port 853 ([listen] tls)")]
    Tls,
    /// Windows.
    #[error("needs the address by which the device reaches this resolver (--address)")]
    Address,
}

impl Format {
    const EACH: [Self; 5] = [
        Self::Apple,
        Self::Windows,
        Self::Android,
        Self::Chrome,
        Self::Firefox,
    ];

    /// The formats it stands for.
    #[must_use]
    pub fn each(self) -> Vec<Self> {
        match self {
            Self::All => Self::EACH.to_vec(),
            one => vec![one],
        }
    }

    /// The documents of one format, not [`Format::All`], which has none.
    pub fn documents(
        self,
        endpoint: &Endpoint,
        subject: &Subject,
    ) -> Result<Vec<Document>, Lacking> {
        match self {
            Self::Apple => apple(endpoint, subject),
            Self::Windows => windows(endpoint, subject),
            Self::Android => android(endpoint, subject),
            Self::Chrome => chrome(endpoint, subject),
            Self::Firefox => firefox(endpoint, subject),
            Self::All => Ok(Vec::new()),
        }
    }
}

fn apple(endpoint: &Endpoint, subject: &Subject) -> Result<Vec<Document>, Lacking> {
    let text = apple::mobileconfig(endpoint, subject).ok_or(Lacking::Either)?;
    let note = "Give it out by MDM. ProhibitDisablement holds on supervised devices only; \
        on others the setting can be switched off. By MDM without supervision it holds on \
        managed Wi-Fi networks only.";
    Ok(vec![document("apple.mobileconfig", text, note)])
}

fn windows(endpoint: &Endpoint, subject: &Subject) -> Result<Vec<Document>, Lacking> {
    if endpoint.https.is_none() {
        return Err(Lacking::Https);
    }
    let text = windows::script(endpoint, subject).ok_or(Lacking::Address)?;
    let note = "A machine of a domain needs its domain controllers for the domain's own \
        names: forward those in [upstream] zones first.";
    Ok(vec![document("windows.ps1", text, note)])
}

fn android(endpoint: &Endpoint, subject: &Subject) -> Result<Vec<Document>, Lacking> {
    let text = policies::android(endpoint, subject).ok_or(Lacking::Tls)?;
    let host = endpoint.host(&subject.client_id).unwrap_or_default();
    let note = format!(
        "For fully managed devices. By hand: Settings, Network, Private DNS: {host}. The \
        certificate must be for *.{} too.",
        endpoint.name
    );
    Ok(vec![document("android.json", text, &note)])
}

fn chrome(endpoint: &Endpoint, subject: &Subject) -> Result<Vec<Document>, Lacking> {
    let text = policies::chrome(endpoint, subject).ok_or(Lacking::Https)?;
    let note = "Where policy is set for a unit and not for a device (Google's console), let \
        the unit be a row of devices.csv.";
    Ok(vec![
        document("chrome.json", text, note),
        document("chrome-off.json", policies::chrome_prohibited(), SYSTEMS),
    ])
}

fn firefox(endpoint: &Endpoint, subject: &Subject) -> Result<Vec<Document>, Lacking> {
    let text = policies::firefox(endpoint, subject).ok_or(Lacking::Https)?;
    let note = "policies.json in Firefox's folder `distribution`, or the same by Group Policy.";
    Ok(vec![
        document("firefox.json", text, note),
        document("firefox-off.json", policies::firefox_prohibited(), SYSTEMS),
    ])
}

fn document(ending: &'static str, text: String, note: &str) -> Document {
    Document {
        ending,
        text,
        note: note.to_owned(),
    }
}
