//! The way between two hosts for a guest that moves while it runs: TLS 1.3 between their agents.
//!
//! Who listens has a key pair that this process made, and tells the control plane the public half; who comes was told that
//! half, and a session that only these two know. So no host has a right on another one but to bring the guest of that
//! session, and there are no keys to distribute or to take back.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nephos_runtime::Clock;
use rand::Rng as _;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer,
    UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tracing::warn;

/// libvirt's own range for migrations; operators know it.
const PORTS: std::ops::RangeInclusive<u16> = 49152..=49215;
/// Who comes has so long to say what for.
const SAYS_WITHIN: Duration = Duration::from_secs(10);
/// So many may be saying it at a time.
const AT_THE_DOOR: usize = 64;
/// So many streams of a guest wait to be taken.
const WAITING: usize = 8;
/// A word is no longer: a definition and the notes of two libvirtds.
const WORD_BYTES: usize = 4 << 20;
/// The fixed beginnings of an Ed25519 private key (PKCS #8, RFC 8410).
const PRIVATE_KEY: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A stream between two hosts.
pub type Stream = TlsStream<TcpStream>;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Words between the agents.
    Words,
    /// The guest's memory.
    Memory,
    /// The guest's disks.
    Disks,
}

#[derive(Serialize, Deserialize)]
struct Hello {
    session: String,
    what: What,
}

/// Streams of one session, as they come.
pub type Coming = mpsc::Receiver<(What, Stream)>;

/// Where this host's guests come in.
pub struct Door {
    /// Address and port.
    pub address: SocketAddr,
    /// The public key, in hexadecimal.
    pub key: String,
    guests: Arc<Guests>,
}

/// Who waits for which session.
type Guests = Mutex<BTreeMap<String, mpsc::Sender<(What, Stream)>>>;

impl Door {
    /// Listens at the first free port.
    ///
    /// # Errors
    /// When none is free, for people.
    pub async fn open(ip: IpAddr, clock: Clock) -> Result<Self, String> {
        let (config, key) = server_config()?;
        let listener = listen(ip).await?;
        let address = listener.local_addr().map_err(|why| why.to_string())?;
        let guests: Arc<Guests> = Arc::default();
        let waiting = Arc::clone(&guests);
        nephos_runtime::spawn("compute.door", async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let room = Arc::new(Semaphore::new(AT_THE_DOOR));
            while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
                let Ok((socket, from)) = listener.accept().await else {
                    clock.sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let (acceptor, waiting, clock) =
                    (acceptor.clone(), Arc::clone(&waiting), clock.clone());
                nephos_runtime::spawn("compute.guest", async move {
                    let said = clock
                        .timeout(SAYS_WITHIN, let_in(acceptor, socket, &waiting))
                        .await;
                    if let Some(Err(why)) = said {
                        warn!(%from, why, "somebody came to the door and was not let in");
                    }
                    drop(permit);
                });
            }
        });
        Ok(Self {
            address,
            key,
            guests,
        })
    }

    /// From now on streams of this session are let in.
    #[must_use]
    pub fn wait_for(&self, session: &str) -> Coming {
        let (tell, told) = mpsc::channel(WAITING);
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody waits for any more.
        guests.retain(|_, tell| !tell.is_closed());
        guests.insert(session.to_owned(), tell);
        told
    }
}

async fn listen(ip: IpAddr) -> Result<TcpListener, String> {
    let mut last = String::new();
    for port in PORTS {
        match TcpListener::bind((ip, port)).await {
            Ok(listener) => return Ok(listener),
            Err(why) => last = why.to_string(),
        }
    }
    Err(format!(
        "cannot listen at {ip}, ports {} to {}: {last}",
        PORTS.start(),
        PORTS.end()
    ))
}

async fn let_in(acceptor: TlsAcceptor, socket: TcpStream, guests: &Guests) -> Result<(), String> {
    let _small_words_at_once = socket.set_nodelay(true);
    let accepted = acceptor.accept(socket).await;
    let mut stream = TlsStream::Server(accepted.map_err(|why| why.to_string())?);
    let hello: Hello = hear(&mut stream).await?;
    let tell = {
        let guests = guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.get(&hello.session).cloned()
    };
    let tell = tell.ok_or("no guest of that session is awaited here")?;
    let taken = tell.send((hello.what, stream)).await;
    taken.map_err(|_| "its guest is not awaited any more".to_owned())
}

/// Goes to another host's door.
///
/// # Errors
/// When nobody answers there, or somebody else does; for people.
pub async fn call(address: &str, key: &str, session: &str, what: What) -> Result<Stream, String> {
    let away = |why: String| format!("the other host does not answer at {address}: {why}");
    let key = hex::decode(key).map_err(|_| "the other host's key is none".to_owned())?;
    let to: SocketAddr = address
        .parse()
        .map_err(|_| format!("'{address}' is no address"))?;
    let socket = TcpStream::connect(to).await;
    let socket = socket.map_err(|why| away(why.to_string()))?;
    let _small_words_at_once = socket.set_nodelay(true);
    let connector = TlsConnector::from(Arc::new(client_config(key)?));
    let name = ServerName::IpAddress(to.ip().into());
    let connected = connector.connect(name, socket).await;
    let mut stream = TlsStream::Client(connected.map_err(|why| away(why.to_string()))?);
    let hello = Hello {
        session: session.to_owned(),
        what,
    };
    say(&mut stream, &hello).await?;
    Ok(stream)
}

/// Says a word: its length in four bytes, then JSON.
///
/// # Errors
/// When the way is broken.
pub async fn say<T: Serialize + Sync>(
    stream: &mut (impl AsyncWrite + Unpin + Send),
    word: &T,
) -> Result<(), String> {
    let broken = |why: std::io::Error| format!("the way to the other host broke off: {why}");
    let text = serde_json::to_vec(word).map_err(|why| why.to_string())?;
    let length = u32::try_from(text.len()).map_err(|_| "a word is too long".to_owned())?;
    stream
        .write_all(&length.to_be_bytes())
        .await
        .map_err(broken)?;
    stream.write_all(&text).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}

/// Hears a word.
///
/// # Errors
/// When the way is broken, or it is no word.
pub async fn hear<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin + Send),
) -> Result<T, String> {
    let broken = |why: std::io::Error| match why.kind() {
        std::io::ErrorKind::UnexpectedEof => "the other host hung up".to_owned(),
        _other => format!("the way to the other host broke off: {why}"),
    };
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.map_err(broken)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > WORD_BYTES {
        return Err(format!("the other host says a word of {length} bytes"));
    }
    let mut text = vec![0; length];
    stream.read_exact(&mut text).await.map_err(broken)?;
    serde_json::from_slice(&text).map_err(|why| format!("the other host says no word: {why}"))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A key pair that lives as long as this process.
fn server_config() -> Result<(ServerConfig, String), String> {
    let seed: [u8; 32] = rand::rng().random();
    let private = [PRIVATE_KEY, &seed[..]].concat();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(private));
    let signer = ring::sign::any_supported_type(&private).map_err(|why| why.to_string())?;
    let public = signer
        .public_key()
        .ok_or("a key pair without a public key")?;
    let public = public.as_ref().to_vec();
    let key = hex::encode(&public);
    let own = CertifiedKey::new(vec![CertificateDer::from(public)], signer);
    let resolver = AlwaysResolvesServerRawPublicKeys::new(Arc::new(own));
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|why| why.to_string())?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    Ok((config, key))
}

fn client_config(key: Vec<u8>) -> Result<ClientConfig, String> {
    let provider = provider();
    let known = Known {
        key,
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|why| why.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(known))
        .with_no_client_auth();
    Ok(config)
}

/// Nobody but the holder of this one key is believed.
#[derive(Debug)]
struct Known {
    key: Vec<u8>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if key.as_ref() == self.key.as_slice() {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("it has another key".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(key.as_ref()),
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_who_knows_session_and_key_comes_in() {
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        let door = Door::open(here, Clock::system()).await.unwrap();
        let other = Door::open(here, Clock::system()).await.unwrap();
        assert_ne!(door.key, other.key);
        let mut coming = door.wait_for("secret");
        let address = door.address.to_string();
        // The wrong door, and a door that says it is another one.
        let wrong = call(&address, &other.key, "secret", What::Words).await;
        assert!(wrong.unwrap_err().contains("does not answer"));
        // The wrong session is hung up on.
        let mut guess = call(&address, &door.key, "guess", What::Words)
            .await
            .unwrap();
        assert!(hear::<String>(&mut guess).await.is_err());
        let mut one = call(&address, &door.key, "secret", What::Memory)
            .await
            .unwrap();
        let (what, mut end) = coming.recv().await.unwrap();
        assert_eq!(what, What::Memory);
        say(&mut one, &"hello").await.unwrap();
        assert_eq!(hear::<String>(&mut end).await.unwrap(), "hello");
        drop(coming);
        let mut late = call(&address, &door.key, "secret", What::Words)
            .await
            .unwrap();
        assert!(hear::<String>(&mut late).await.is_err());
    }

    #[tokio::test]
    async fn a_word_that_is_too_long_is_not_heard() {
        let mut long: &[u8] = &[0xff; 8];
        let heard: Result<String, String> = hear(&mut long).await;
        assert!(heard.unwrap_err().contains("4294967295 bytes"));
    }
}
