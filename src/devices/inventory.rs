//! `devices.csv`: the school's own list of its devices.
//!
//! A person keeps it, often in a spreadsheet, so columns come in any order,
//! rows may have several MACs and addresses, and every mistake is reported at
//! once with its line. A row with a mistake still counts for what is right in
//! it; whether a file with mistakes is used at all is the caller's decision.
//!
//! Once built it is a value without a way to change it.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::document::{Complaint, Place, choices};
use crate::mac::Mac;

use super::client_id;
use super::keys::{self, Table};

/// The columns; only `id` must be there.
pub const COLUMNS: [&str; 7] = ["id", "name", "mac", "ip", "group", "owner", "kind"];

/// A column that need not be there: a secret by which a device names itself
/// over an encrypted transport.
const CLIENT_ID: &str = "client_id";

/// One device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What policy and logs call it, and it itself over an encrypted transport
    /// if it has no `client_id`.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its hardware addresses: Ethernet, Wi-Fi, a dock.
    pub macs: Vec<Mac>,
    /// Its fixed addresses.
    pub ips: Vec<IpAddr>,
    /// Its group; without one its network decides.
    pub group: Option<u16>,
    /// Whose it is.
    pub owner: String,
    /// What it is: laptop, tablet, printer.
    pub kind: String,
    /// What it calls itself over an encrypted transport. Never logged.
    pub client_id: Option<Box<str>>,
    /// The line it stands on.
    pub line: usize,
}

/// All devices, found by what a packet knows of them.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    devices: Vec<Device>,
    ids: Table<String, u32>,
    client_ids: Table<Box<str>, u32>,
    macs: Table<u64, u32>,
    ips: Table<u128, u32>,
    umbrella: Table<u64, u32>,
}

impl Inventory {
    /// Reads the text of `devices.csv`. `group_of` knows the policy's groups,
    /// `groups` are their ids for "did you mean".
    #[must_use]
    pub fn parse(
        file: &str,
        text: &str,
        group_of: impl Fn(&str) -> Option<u16>,
        groups: &[&str],
    ) -> (Self, Vec<Complaint>) {
        let mut reading = Reading {
            file,
            group_of,
            groups,
            inventory: Self::default(),
            complaints: Vec::new(),
        };
        reading.rows(text);
        (reading.inventory, reading.complaints)
    }

    /// The device of a handle.
    #[must_use]
    pub fn device(&self, handle: u32) -> Option<&Device> {
        self.devices.get(usize::try_from(handle).ok()?)
    }

    /// Every device, in the order of the file.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// By hardware address.
    #[must_use]
    pub fn by_mac(&self, mac: Mac) -> Option<u32> {
        self.macs.get(&keys::mac(mac)).copied()
    }

    /// By fixed address.
    #[must_use]
    pub fn by_ip(&self, ip: IpAddr) -> Option<u32> {
        self.ips.get(&keys::ip(ip)).copied()
    }

    /// By id, in any case (D20).
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<u32> {
        self.ids.get(&*lower(id)).copied()
    }

    /// By what it calls itself over an encrypted transport: its `client_id`, or
    /// its id if it has none. Whoever has a secret is not known without it.
    #[must_use]
    pub fn by_client_id(&self, id: &str) -> Option<u32> {
        self.by_issued_id(id).or_else(|| {
            let handle = self.by_id(id)?;
            let has_none = |device: &Device| device.client_id.is_none();
            self.device(handle).is_some_and(has_none).then_some(handle)
        })
    }

    /// By the `client_id` that the school issued, in any case.
    #[must_use]
    pub fn by_issued_id(&self, id: &str) -> Option<u32> {
        self.client_ids.get(&*lower(id)).copied()
    }

    /// By Cisco Umbrella's device id, where its sixteen digits are a row's id.
    #[must_use]
    pub fn by_umbrella(&self, device: [u8; 8]) -> Option<u32> {
        self.umbrella.get(&u64::from_be_bytes(device)).copied()
    }
}

/// A file being read: what is right so far and what is not.
struct Reading<'r, G> {
    file: &'r str,
    group_of: G,
    groups: &'r [&'r str],
    inventory: Inventory,
    complaints: Vec<Complaint>,
}

impl<G: Fn(&str) -> Option<u16>> Reading<'_, G> {
    fn complain(&mut self, line: usize, message: String) {
        let file = self.file.to_owned();
        self.complaints.push(Complaint {
            place: Place { file, line },
            message,
        });
    }

    fn rows(&mut self, text: &str) {
        // Spreadsheets begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut columns: Option<Vec<Option<usize>>> = None;
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    self.complain(line_of(text, error.position()), "not CSV".to_owned());
                    continue;
                }
            };
            let line = line_of(text, record.position());
            let is_indented_comment = record.get(0).is_some_and(|cell| cell.starts_with('#'));
            if is_indented_comment || record.iter().all(str::is_empty) {
                continue;
            }
            // An unclosed quote swallows the lines below, devices and all.
            if record.iter().any(|cell| cell.contains('\n')) {
                self.complain(line, "a quote is opened and not closed here".to_owned());
                continue;
            }
            match &columns {
                None => columns = Some(self.header(&record, line)),
                Some(columns) => self.row(columns, &record, line),
            }
        }
        if columns.is_none() {
            let wanted = COLUMNS.join(",");
            self.complain(0, format!("no header; the first line must be {wanted}"));
        }
    }

    /// For each field of a row, the column it belongs to.
    fn header(&mut self, record: &csv::StringRecord, line: usize) -> Vec<Option<usize>> {
        let mut columns = Vec::new();
        for title in record {
            let mut known = COLUMNS.iter().chain([&CLIENT_ID]);
            let column = known.position(|known| *known == title);
            if column.is_none() {
                let hint = choices(title, COLUMNS.into_iter().chain([CLIENT_ID]));
                self.complain(line, format!("unknown column \"{title}\"; {hint}"));
            } else if columns.contains(&column) {
                self.complain(line, format!("column \"{title}\" is there twice"));
            }
            columns.push(column);
        }
        if !columns.contains(&Some(0)) {
            self.complain(line, "the header has no column \"id\"".to_owned());
        }
        columns
    }

    fn row(&mut self, columns: &[Option<usize>], record: &csv::StringRecord, line: usize) {
        if record.len() != columns.len() {
            let (got, wanted) = (record.len(), columns.len());
            self.complain(line, format!("{got} fields where the header has {wanted}"));
        }
        let mut cells = [""; COLUMNS.len() + 1];
        for (column, cell) in columns.iter().zip(record) {
            if let Some(slot) = column.and_then(|column| cells.get_mut(column)) {
                *slot = cell;
            }
        }
        let [id, name, mac, ip, group, owner, kind, client_id] = cells;
        if id.is_empty() {
            if columns.contains(&Some(0)) {
                self.complain(line, "a device needs an `id`".to_owned());
            }
            return;
        }
        let device = Device {
            id: id.to_owned(),
            name: name.to_owned(),
            macs: self.macs(mac, line),
            ips: self.ips(ip, line),
            group: self.group(group, line),
            owner: owner.to_owned(),
            kind: kind.to_owned(),
            client_id: self.client_id(client_id, line),
            line,
        };
        self.enter(device);
    }

    fn macs(&mut self, cell: &str, line: usize) -> Vec<Mac> {
        let mut macs = Vec::new();
        for text in several(cell) {
            match text.parse::<Mac>() {
                Ok(mac) if !mac.names_a_device() => {
                    self.complain(line, format!("mac \"{text}\" is no device's address"));
                }
                Ok(mac) if macs.contains(&mac) => (),
                Ok(mac) => macs.push(mac),
                Err(error) => self.complain(line, format!("mac \"{text}\": {error}")),
            }
        }
        macs
    }

    fn ips(&mut self, cell: &str, line: usize) -> Vec<IpAddr> {
        let mut ips = Vec::new();
        for text in several(cell) {
            match keys::parse_ip(text) {
                Some(ip) if ips.contains(&ip) => (),
                Some(ip) => ips.push(ip),
                None => self.complain(
                    line,
                    format!("ip \"{text}\" is not one address, like 10.1.0.7 or fd00::7"),
                ),
            }
        }
        ips
    }

    fn client_id(&mut self, cell: &str, line: usize) -> Option<Box<str>> {
        if cell.is_empty() {
            return None;
        }
        if let Err(wanted) = client_id::check_issued(cell) {
            // Not repeated here: it may be a secret with a slip in it.
            self.complain(line, format!("client_id must be {wanted}"));
            return None;
        }
        Some(cell.into())
    }

    fn group(&mut self, cell: &str, line: usize) -> Option<u16> {
        let group = (self.group_of)(cell);
        if group.is_none() && !cell.is_empty() {
            let hint = choices(cell, self.groups.iter().copied());
            self.complain(line, format!("unknown group \"{cell}\"; {hint}"));
        }
        group
    }

    /// Puts a device into every table; what another has already stays its.
    fn enter(&mut self, device: Device) {
        let Ok(handle) = u32::try_from(self.inventory.devices.len()) else {
            return;
        };
        let id = device.id.to_ascii_lowercase();
        if let Some(other) = self.inventory.ids.get(&id).copied() {
            self.taken(device.line, &format!("id \"{}\"", device.id), other);
            return;
        }
        self.enter_client_id(&id, &device, handle);
        for mac in &device.macs {
            let key = keys::mac(*mac);
            match self.inventory.macs.get(&key).copied() {
                Some(other) => self.taken(device.line, &format!("mac {mac}"), other),
                None => _ = self.inventory.macs.insert(key, handle),
            }
        }
        for ip in &device.ips {
            let key = keys::ip(*ip);
            match self.inventory.ips.get(&key).copied() {
                Some(other) => self.taken(device.line, &format!("ip {ip}"), other),
                None => _ = self.inventory.ips.insert(key, handle),
            }
        }
        if let Some(number) = umbrella_id(&id) {
            self.inventory.umbrella.insert(number, handle);
        }
        self.inventory.ids.insert(id, handle);
        self.inventory.devices.push(device);
    }

    /// An id and a `client_id` are looked for in one breath, so no two rows may
    /// share a word.
    fn enter_client_id(&mut self, id: &str, device: &Device, handle: u32) {
        if let Some(other) = self.inventory.client_ids.get(id).copied() {
            self.taken(device.line, "its id, as a client_id,", other);
        }
        let Some(client_id) = &device.client_id else {
            return;
        };
        let others = [
            self.inventory.client_ids.get(client_id).copied(),
            self.inventory.ids.get(&**client_id).copied(),
        ];
        if **client_id == *id {
            let message = "client_id is a secret and cannot be the id".to_owned();
            self.complain(device.line, message);
        } else if let Some(other) = others.into_iter().flatten().next() {
            self.taken(device.line, "its client_id", other);
        } else {
            self.inventory.client_ids.insert(client_id.clone(), handle);
        }
    }

    fn taken(&mut self, line: usize, what: &str, other: u32) {
        let other = self.inventory.device(other);
        let whose = other.map(|device| format!("device \"{}\" on line {}", device.id, device.line));
        let whose = whose.unwrap_or_default();
        self.complain(line, format!("{what} already belongs to {whose}"));
    }
}

/// An id as it is stored; only a client that shouts costs a copy.
fn lower(id: &str) -> Cow<'_, str> {
    if id.bytes().any(|byte| byte.is_ascii_uppercase()) {
        id.to_ascii_lowercase().into()
    } else {
        id.into()
    }
}

/// The values of a cell that may hold several.
fn several(cell: &str) -> impl Iterator<Item = &str> {
    cell.split([' ', ';', '\t']).filter(|text| !text.is_empty())
}

fn umbrella_id(id: &str) -> Option<u64> {
    let is_hex = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u64::from_str_radix(id, 16).ok())?
}

/// The line a record stands on. The position csv gives is where it began to
/// look: blank lines and comments come first.
fn line_of(text: &str, position: Option<&csv::Position>) -> usize {
    let Some(position) = position else { return 0 };
    let number = |from: u64| usize::try_from(from).unwrap_or(usize::MAX);
    let rest = text.get(number(position.byte())..).unwrap_or_default();
    let is_skipped = |line: &&str| line.is_empty() || line.starts_with('#');
    number(position.line()) + rest.lines().take_while(is_skipped).count()
}
