//! A scripted upstream on loopback: it remembers what it was asked and says
//! what a test wants said.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use super::wire::{self, Rr};

/// One question as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) packet: Vec<u8>,
    /// The asked name in lower case.
    pub(crate) name: String,
    pub(crate) from: SocketAddr,
    pub(crate) tcp: bool,
}

/// What to do about a question.
pub(crate) enum Say {
    /// Send these, in this order.
    All(Vec<Vec<u8>>),
    /// Send this once the gate is open.
    When(Arc<Gate>, Vec<u8>),
    /// Keep silent.
    Nothing,
}

/// Closed until it is opened.
#[derive(Default)]
pub(crate) struct Gate(Mutex<bool>, Condvar);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn wait(&self) {
        let closed = self.0.lock().unwrap();
        drop(self.1.wait_while(closed, |open| !*open).unwrap());
    }
}

type Script = Arc<dyn Fn(&Seen) -> Say + Send + Sync>;

/// A running upstream; it stops when dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What [`Upstream::plain`] gives as the address of every name.
pub(crate) const ADDRESS: [u8; 4] = [198, 51, 100, 7];

/// The plain answer: one address, for five minutes.
pub(crate) fn plain(seen: &Seen) -> Vec<u8> {
    let records = [Rr::a(&wire::asked_name(&seen.packet), 300, ADDRESS)];
    wire::reply(&seen.packet, 0, 0, &records, &[])
}

/// One answer and no more.
pub(crate) fn say(packet: Vec<u8>) -> Say {
    Say::All(vec![packet])
}

impl Upstream {
    /// One that answers everything.
    pub(crate) fn plain() -> Self {
        Self::new(|seen| say(plain(seen)))
    }

    /// One that keeps to a script.
    pub(crate) fn new(script: impl Fn(&Seen) -> Say + Send + Sync + 'static) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        // The TCP port of the same number may be somebody else's.
        let free = || Self::try_at(any, Arc::new(|_: &Seen| Say::Nothing)).ok();
        let address = super::eventually("a free port", || free().map(|probe| probe.address));
        Self::at(address, script)
    }

    /// One at an address where another was.
    pub(crate) fn at(
        address: SocketAddr,
        script: impl Fn(&Seen) -> Say + Send + Sync + 'static,
    ) -> Self {
        let script: Script = Arc::new(script);
        super::eventually("the upstream's port", || {
            Self::try_at(address, Arc::clone(&script)).ok()
        })
    }

    fn try_at(address: SocketAddr, script: Script) -> std::io::Result<Self> {
        let udp = UdpSocket::bind(address)?;
        let address = udp.local_addr()?;
        let tcp = TcpListener::bind(address)?;
        let (seen, stop) = (Arc::default(), Arc::default());
        let threads = vec![
            {
                let (script, seen, stop) =
                    (Arc::clone(&script), Arc::clone(&seen), Arc::clone(&stop));
                std::thread::spawn(move || serve_udp(&udp, &script, &seen, &stop))
            },
            {
                let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
                std::thread::spawn(move || serve_tcp(&tcp, &script, &seen, &stop))
            },
        ];
        Ok(Self {
            address,
            seen,
            stop,
            threads,
        })
    }

    /// Everything it was asked.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How often it was asked for `name`.
    pub(crate) fn count(&self, name: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.name == name).count()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Each thread waits for something to come.
        let _ = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.send_to(&[0], self.address));
        let _ = TcpStream::connect(self.address);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn see(packet: &[u8], from: SocketAddr, tcp: bool, all: &Mutex<Vec<Seen>>) -> Seen {
    let name = wire::asked_name(packet).to_lowercase();
    let seen = Seen {
        packet: packet.to_vec(),
        name,
        from,
        tcp,
    };
    all.lock().unwrap().push(seen.clone());
    seen
}

fn serve_udp(socket: &UdpSocket, script: &Script, all: &Mutex<Vec<Seen>>, stop: &AtomicBool) {
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        if length < 17 {
            continue;
        }
        match script(&see(&buffer[..length], from, false, all)) {
            Say::All(packets) => {
                for packet in packets {
                    let _ = socket.send_to(&packet, from);
                }
            }
            Say::When(gate, packet) => {
                let socket = socket.try_clone().unwrap();
                std::thread::spawn(move || {
                    gate.wait();
                    let _ = socket.send_to(&packet, from);
                });
            }
            Say::Nothing => {}
        }
    }
}

fn serve_tcp(
    listener: &TcpListener,
    script: &Script,
    all: &Arc<Mutex<Vec<Seen>>>,
    stop: &AtomicBool,
) {
    while let Ok((stream, from)) = listener.accept() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let (script, all) = (Arc::clone(script), Arc::clone(all));
        std::thread::spawn(move || serve_stream(stream, from, &script, &all));
    }
}

fn serve_stream(mut stream: TcpStream, from: SocketAddr, script: &Script, all: &Mutex<Vec<Seen>>) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut packet).is_err() {
            return;
        }
        let packets = match script(&see(&packet, from, true, all)) {
            Say::All(packets) => packets,
            Say::When(gate, packet) => {
                gate.wait();
                vec![packet]
            }
            Say::Nothing => continue,
        };
        for packet in packets {
            let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
            let _ = stream.write_all(&[&length[..], &packet].concat());
        }
    }
}
