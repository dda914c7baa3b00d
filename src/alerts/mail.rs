//! E-mail: one message to one recipient by one conversation (RFC 5321).
//!
//! What goes wrong before the message is spoken of is the server's trouble, and
//! all messages wait; what it says to the message is that message's. It must
//! never speak in plain to a server that was to be spoken to encrypted.

use std::error::Error;
use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Letter};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, SmtpConnection, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;

use super::message::Severity;
use super::outbox::{Failure, Waiting};
use crate::settings::{Mail, Security};

/// For each word of the conversation.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Sends one message.
pub(super) fn send(mail: &Mail, waiting: &Waiting) -> Result<(), Failure> {
    let letter = letter(mail, waiting)?;
    let mut connection = connect(mail).map_err(Failure::Channel)?;
    let result = connection.send(letter.envelope(), &letter.formatted());
    match result {
        Ok(_) => {
            let _ = connection.quit();
            Ok(())
        }
        Err(error) if error.is_permanent() => Err(Failure::Refused(chain(&error))),
        Err(error) if error.is_transient() => Err(Failure::Message(chain(&error))),
        Err(error) => Err(Failure::Channel(chain(&error))),
    }
}

fn connect(mail: &Mail) -> Result<SmtpConnection, String> {
    let hello = ClientId::default();
    let tls = match mail.security {
        Security::None => None,
        Security::Starttls | Security::Tls => Some(trust(mail)?),
    };
    let wrapped = tls.as_ref().filter(|_| mail.security == Security::Tls);
    let to = (mail.server.as_str(), mail.port);
    let mut connection = SmtpConnection::connect(to, Some(TIMEOUT), &hello, wrapped, None)
        .map_err(|error| chain(&error))?;
    if let (Security::Starttls, Some(tls)) = (mail.security, &tls) {
        connection
            .starttls(tls, &hello)
            .map_err(|error| chain(&error))?;
    }
    if !mail.user.is_empty() {
        let file = mail.password_file.as_deref();
        let password = file.map_or_else(|| Ok(String::new()), super::post::secret)?;
        let who = Credentials::new(mail.user.clone(), password);
        connection
            .auth(&[Mechanism::Plain, Mechanism::Login], &who)
            .map_err(|error| chain(&error))?;
    }
    Ok(connection)
}

fn trust(mail: &Mail) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(mail.server.clone());
    if let Some(file) = &mail.ca_file {
        let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let found = Certificate::from_pem(&pem).map_err(|error| chain(&error))?;
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(found);
    }
    builder.build().map_err(|error| chain(&error))
}

fn letter(mail: &Mail, waiting: &Waiting) -> Result<Letter, Failure> {
    let message = &waiting.message;
    let wrong = |what: &str, error: &dyn Error| Failure::Refused(format!("{what}: {error}"));
    let from: Mailbox = mail
        .from
        .parse()
        .map_err(|error| Failure::Channel(format!("`from` of [mail]: {error}")))?;
    let to: Mailbox = waiting
        .recipient
        .parse()
        .map_err(|error| wrong("the recipient", &error))?;
    let domain = from.email.domain().to_owned();
    let mut letter = Letter::builder()
        .message_id(Some(format!("<{}@{domain}>", waiting.key)))
        .date(SystemTime::from(message.made))
        .from(from)
        .to(to)
        .subject(&message.subject)
        // RFC 3834: no out-of-office notes in return.
        .raw_header(raw("Auto-Submitted", "auto-generated"))
        .header(ContentType::TEXT_PLAIN);
    if message.severity == Severity::Alert {
        letter = letter.raw_header(raw("Importance", "high"));
    }
    // RFC 5321 section 2.3.7: lines end in CR LF, and in nothing else.
    let text = message.text.replace('\r', "").replace('\n', "\r\n");
    letter
        .body(text)
        .map_err(|error| wrong("the message", &error))
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// An error with what it came from.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text.chars().take(500).collect()
}
