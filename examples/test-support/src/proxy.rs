//! A TCP proxy on loopback that simulates network faults between a client and a server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::machine;

/// The number of bytes in flight in one direction before the sender has to wait.
const CHUNKS_ON_THE_WAY: usize = 256;

/// A TCP proxy whose connections can be cut, refused, held and delayed. It runs in the runtime of the test that opened
/// it;
/// dropping it cuts all connections.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use test_support::Proxy;
/// use tokio::net::{TcpListener, TcpStream};
///
/// let server = TcpListener::bind("127.0.0.1:0").await?;
/// let network = Proxy::to(server.local_addr()?.to_string()).await?;
/// TcpStream::connect(network.address()).await?; // through the proxy to the server
///
/// network.refuse(true).await?;
/// assert!(TcpStream::connect(network.address()).await.is_err());
/// # std::io::Result::Ok(()) })?;
/// # std::io::Result::Ok(())
/// ```
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    orders: mpsc::UnboundedSender<Order>,
    /// The `host:port` that new connections lead to. Read after a connection is accepted, so that a redirect holds for every
    /// connection that is opened after it.
    server: watch::Sender<String>,
}

/// The current faults.
#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    requests_held: bool,
    answers_held: bool,
    delay: Duration,
}

enum Order {
    Cut(oneshot::Sender<()>),
    Refuse(bool, oneshot::Sender<io::Result<()>>),
}

impl Proxy {
    /// Opens a proxy to a server's `host:port` on a free port.
    ///
    /// # Errors
    /// Fails when no port can be opened. The server need not run yet.
    pub async fn to(server: impl Into<String>) -> io::Result<Proxy> {
        Proxy::listening(machine::free_port()?, server.into()).await
    }

    pub(crate) async fn listening(port: u16, server: String) -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let (weather, seen) = watch::channel(Weather::default());
        let (orders, received) = mpsc::unbounded_channel();
        let (server, leads_to) = watch::channel(server);
        tokio::spawn(serve(listener, address, leads_to, seen, received));
        Ok(Proxy { address, weather, orders, server })
    }

    /// Returns the address for clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets all open connections. Bytes in flight are lost; new connections are accepted.
    ///
    /// ```no_run
    /// # async fn example(network: test_support::Proxy) {
    /// // the unknown outcome: the request arrives, but its response does not
    /// network.hold_answers(true);
    /// // ... send COMMIT ...
    /// network.cut().await;
    /// network.hold_answers(false);
    /// # }
    /// ```
    pub async fn cut(&self) {
        let (done, answer) = oneshot::channel();
        let _ = self.orders.send(Order::Cut(done));
        let _ = answer.await;
    }

    /// Refuses new connections, as when nothing listens, or accepts them again. Open connections stay.
    ///
    /// # Errors
    /// Fails when another program took the port in the meantime.
    pub async fn refuse(&self, refuse: bool) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        let _ = self.orders.send(Order::Refuse(refuse, done));
        answer.await.unwrap_or_else(|_| Err(io::Error::other("the proxy's runtime has ended")))
    }

    /// Leads new connections to another server's `host:port`, as a virtual address does after a failover. Open
    /// connections stay.
    pub fn redirect(&self, server: impl Into<String>) {
        self.server.send_replace(server.into());
    }

    /// Holds all bytes in both directions, while connections stay open and new ones are accepted. Switching it off
    /// delivers
    /// the held bytes, as TCP does when a network recovers.
    pub fn blackhole(&self, on: bool) {
        self.weather.send_modify(|weather| (weather.requests_held, weather.answers_held) = (on, on));
    }

    /// Passes requests and holds the server's responses.
    pub fn hold_answers(&self, on: bool) {
        self.weather.send_modify(|weather| weather.answers_held = on);
    }

    /// Delays all bytes in each direction.
    pub fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }
}

/// Accepts connections until the [`Proxy`] is dropped.
async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    server: watch::Receiver<String>,
    weather: watch::Receiver<Weather>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                None => return,
                Some(Order::Cut(done)) => {
                    connections.shutdown().await;
                    let _ = done.send(());
                }
                Some(Order::Refuse(true, done)) => {
                    listener = None;
                    let _ = done.send(Ok(()));
                }
                Some(Order::Refuse(false, done)) => {
                    let opened = match listener {
                        Some(_) => Ok(()),
                        None => TcpListener::bind(address).await.map(|opened| listener = Some(opened)),
                    };
                    let _ = done.send(opened);
                }
            },
            client = accept(listener.as_ref()) => {
                connections.spawn(carry(client, server.borrow().clone(), weather.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Waits for the next client, for ever while connections are refused.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((client, _)) => return client,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await, // usually too many open files for a moment
        }
    }
}

/// One side of a connection. When it is dropped before both sides have closed, its peer gets a reset.
struct Side {
    stream: TcpStream,
    ended: bool,
}

impl Side {
    fn new(stream: TcpStream) -> Side {
        let _ = stream.set_nodelay(true);
        Side { stream, ended: false }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.stream.set_zero_linger();
        }
    }
}

/// Forwards a connection until one side closes it or it is cut.
async fn carry(client: TcpStream, server: String, weather: watch::Receiver<Weather>) {
    let mut client = Side::new(client);
    let Ok(server) = TcpStream::connect(server).await else { return };
    let mut server = Side::new(server);
    let (client_reads, client_writes) = client.stream.split();
    let (server_reads, server_writes) = server.stream.split();
    let requests = one_way(client_reads, server_writes, weather.clone(), |weather| weather.requests_held);
    let answers = one_way(server_reads, client_writes, weather, |weather| weather.answers_held);
    if tokio::try_join!(requests, answers).is_ok() {
        (client.ended, server.ended) = (true, true);
    }
}

/// Forwards one direction, including its end: reads, waits for the delay and the black hole, writes.
async fn one_way(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut weather: watch::Receiver<Weather>,
    held: fn(&Weather) -> bool,
) -> io::Result<()> {
    let (sent, mut arriving) = mpsc::channel::<(Instant, io::Result<Vec<u8>>)>(CHUNKS_ON_THE_WAY);
    let clock = weather.clone();
    let read = async move {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from.read(&mut buffer).await.map(|length| buffer[..length].to_vec());
            let last = read.as_ref().map_or(true, Vec::is_empty);
            let due = Instant::now() + clock.borrow().delay;
            if sent.send((due, read)).await.is_err() || last {
                return Ok(());
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = arriving.recv().await {
            tokio::time::sleep_until(due).await;
            weather.wait_for(|weather| !held(weather)).await.map_err(io::Error::other)?;
            match chunk? {
                end if end.is_empty() => to.shutdown().await?,
                bytes => to.write_all(&bytes).await?,
            }
        }
        Ok(())
    };
    tokio::try_join!(read, write).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts a server that returns each byte.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = client.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn ask(connection: &mut TcpStream) -> io::Result<u8> {
        connection.write_all(b"?").await?;
        connection.read_u8().await
    }

    /// A wait that is long enough for loopback.
    const MOMENT: Duration = Duration::from_millis(200);

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cut_resets_open_connections_and_accepts_new_ones() {
        let network = Proxy::to(echo().await).await.unwrap();
        let mut connection = TcpStream::connect(network.address()).await.unwrap();
        assert_eq!(ask(&mut connection).await.unwrap(), b'?');
        network.cut().await;
        assert_eq!(ask(&mut connection).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let mut connection = TcpStream::connect(network.address()).await.unwrap();
        assert_eq!(ask(&mut connection).await.unwrap(), b'?');
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn refused_connections_are_accepted_again_later() {
        let network = Proxy::to(echo().await).await.unwrap();
        let mut before = TcpStream::connect(network.address()).await.unwrap();
        assert_eq!(ask(&mut before).await.unwrap(), b'?');
        network.refuse(true).await.unwrap();
        let refused = TcpStream::connect(network.address()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(ask(&mut before).await.unwrap(), b'?', "open connections stay");
        network.refuse(false).await.unwrap();
        let mut after = TcpStream::connect(network.address()).await.unwrap();
        assert_eq!(ask(&mut after).await.unwrap(), b'?');
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_redirect_leads_new_connections_to_the_other_server() {
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = Proxy::to(echo().await).await.unwrap();
        let mut before = TcpStream::connect(network.address()).await.unwrap();
        assert_eq!(ask(&mut before).await.unwrap(), b'?');
        network.redirect(other.local_addr().unwrap().to_string());
        let mut after = TcpStream::connect(network.address()).await.unwrap();
        let (mut accepted, _) = other.accept().await.unwrap();
        accepted.write_all(b"!").await.unwrap();
        assert_eq!(after.read_u8().await.unwrap(), b'!');
        assert_eq!(ask(&mut before).await.unwrap(), b'?', "open connections stay");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn bytes_held_by_a_black_hole_are_delivered_later() {
        let network = Proxy::to(echo().await).await.unwrap();
        let mut connection = TcpStream::connect(network.address()).await.unwrap();
        network.blackhole(true);
        assert!(tokio::time::timeout(MOMENT, ask(&mut connection)).await.is_err());
        network.blackhole(false);
        assert_eq!(connection.read_u8().await.unwrap(), b'?');
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_held_response_is_lost_by_a_cut_after_the_request_arrived() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = Proxy::to(server.local_addr().unwrap().to_string()).await.unwrap();
        let mut client = TcpStream::connect(network.address()).await.unwrap();
        let (mut accepted, _) = server.accept().await.unwrap();
        network.hold_answers(true);
        client.write_all(b"?").await.unwrap();
        assert_eq!(accepted.read_u8().await.unwrap(), b'?');
        accepted.write_all(b"!").await.unwrap();
        assert!(tokio::time::timeout(MOMENT, client.read_u8()).await.is_err());
        network.cut().await;
        assert_eq!(client.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_delay_applies_in_both_directions() {
        let network = Proxy::to(echo().await).await.unwrap();
        let mut connection = TcpStream::connect(network.address()).await.unwrap();
        network.delay(MOMENT);
        let asked = Instant::now();
        assert_eq!(ask(&mut connection).await.unwrap(), b'?');
        assert!(asked.elapsed() >= 2 * MOMENT);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_orderly_close_loses_no_bytes_with_a_slow_reader() {
        const LENGTH: usize = 8 << 20;
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = Proxy::to(server.local_addr().unwrap().to_string()).await.unwrap();
        let mut client = TcpStream::connect(network.address()).await.unwrap();
        let (mut accepted, _) = server.accept().await.unwrap();
        let sending = tokio::spawn(async move { accepted.write_all(&vec![7; LENGTH]).await });
        client.shutdown().await.unwrap();
        tokio::time::sleep(MOMENT).await;
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        assert_eq!(received.len(), LENGTH);
        sending.await.unwrap().unwrap();
    }
}
