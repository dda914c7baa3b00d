//! What to do about a hit on an illegal site.
//!
//! For somebody who meets one for the first time and is frightened: what it
//! means, what not to do, what to do, in this order. No host, no link.

use maud::{Markup, html};

/// Stands above a mandatory hit.
pub(super) fn mandatory() -> Markup {
    html! {
        section class="card danger" {
            h2 { "A device asked for an illegal site. It was blocked." }
            p { "The site is on a list of illegal content, such as child sexual abuse material or unlawful \
                 terrorist content. Nothing of it was delivered. One look-up does not show what somebody \
                 meant to do: an app, an advert or malware can cause it." }
            h3 { "Do not" }
            ul {
                li { "visit the site, search for it, or let anybody else do so: to look may itself be an offence;" }
                li { "ask the pupil about it yourself, or search the device: it may be evidence;" }
                li { "send the name of the site to anybody but the police." }
            }
            h3 { "Do" }
            ol {
                li { "If a child may be in danger now, call 999." }
                li { "Tell the headteacher and the safeguarding lead, and follow the school's child protection policy." }
                li { "Keep the device as it is and out of use, and " a href="/holds" { "place a hold" } " on this day of the log, so that it is kept." }
                li { "Report it to the police on 101, or to their liaison officer. For terrorist content there is \
                      the Anti-Terrorist Hotline, 0800\u{a0}789\u{a0}321." }
                li { "The Internet Watch Foundation takes reports of child sexual abuse images at report.iwf.org.uk; \
                      the police will say whether one is needed for a site that is already listed." }
                li { "Note here what you did and when. When the police ask for it, the safeguarding lead exports the evidence." }
            }
        }
    }
}
