//! A client that makes a proper handshake, and then sends any records that a test wants.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::crypto::aws_lc_rs::{self as provider, cipher_suite};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ProtocolVersion, RootCertStore,
};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use throng_tls::ServerTls;

pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const DATA: u8 = 23;

/// Content type and contents of a record.
pub type Record = (u8, Vec<u8>);

pub struct Rogue {
    socket: TcpStream,
    tls13: bool,
    sealing: Direction,
    opening: Direction,
}

/// The key of one direction: AES-128-GCM.
struct Direction {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Direction {
    fn of((sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Direction {
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else {
            panic!("only AES-128-GCM was offered");
        };
        let key = UnboundKey::new(&AES_128_GCM, key.as_ref()).unwrap();
        Direction {
            key: LessSafeKey::new(key),
            iv: iv.as_ref().try_into().unwrap(),
            sequence,
        }
    }

    /// The next record's nonce.
    fn nonce(&self) -> [u8; 12] {
        let mut nonce = self.iv;
        for (n, s) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *n ^= s;
        }
        nonce
    }
}

/// The associated data of the next record of TLS 1.2 (RFC 5246 section 6.2.3.3).
fn associated_12(sequence: u64, kind: u8, len: usize) -> Vec<u8> {
    let header = [kind, 3, 3, (len >> 8) as u8, len as u8];
    [&sequence.to_be_bytes()[..], &header].concat()
}

impl Rogue {
    /// Connects to a server, whose certificate it trusts, and makes a handshake.
    pub fn connect(address: SocketAddr, server: &ServerTls, version: ProtocolVersion) -> Rogue {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(server.certificate().to_vec()))
            .unwrap();
        let mut offered = provider::default_provider();
        offered.cipher_suites = vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ];
        let versions: &[_] = match version {
            ProtocolVersion::TLSv1_3 => &[&rustls::version::TLS13],
            _ => &[&rustls::version::TLS12],
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(offered))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.enable_secret_extraction = true;
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        let patience = Some(Duration::from_secs(10));
        socket.set_read_timeout(patience).unwrap();
        while tls.is_handshaking() || tls.wants_write() {
            tls.complete_io(&mut socket).unwrap();
        }
        let secrets = tls.dangerous_extract_secrets().unwrap();
        Rogue {
            socket,
            tls13: version == ProtocolVersion::TLSv1_3,
            sealing: Direction::of(secrets.tx),
            opening: Direction::of(secrets.rx),
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// The next record with these contents.
    pub fn seal(&mut self, kind: u8, contents: &[u8]) -> Vec<u8> {
        let Direction { key, sequence, .. } = &self.sealing;
        let nonce = self.sealing.nonce();
        let explicit = if self.tls13 { &[] } else { &nonce[4..] };
        let mut text = contents.to_vec();
        if self.tls13 {
            text.push(kind);
        }
        let len = explicit.len() + text.len() + 16;
        let outer = if self.tls13 { DATA } else { kind };
        let header = [outer, 3, 3, (len >> 8) as u8, len as u8];
        let associated = match self.tls13 {
            true => header.to_vec(),
            false => associated_12(*sequence, kind, contents.len()),
        };
        let aad = Aad::from(associated);
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .unwrap();
        self.sealing.sequence += 1;
        [&header, explicit, &text].concat()
    }

    /// All that the server sends until it closes.
    pub fn hear(mut self) -> Vec<Record> {
        let mut bytes = Vec::new();
        self.socket.read_to_end(&mut bytes).unwrap();
        let mut left = &bytes[..];
        let mut records = Vec::new();
        while let &[kind, _, _, high, low, ..] = left {
            let len = usize::from(u16::from_be_bytes([high, low]));
            let (record, rest) = left.split_at(5 + len);
            left = rest;
            records.push(self.open(kind, record));
        }
        records
    }

    fn open(&mut self, kind: u8, record: &[u8]) -> Record {
        let (header, body) = record.split_at(5);
        let Direction { key, iv, sequence } = &self.opening;
        let (nonce, body, associated) = match self.tls13 {
            true => (self.opening.nonce(), body, header.to_vec()),
            false => {
                let (explicit, body) = body.split_at(8);
                let nonce = [&iv[..4], explicit].concat().try_into().unwrap();
                let associated = associated_12(*sequence, kind, body.len() - 16);
                (nonce, body, associated)
            }
        };
        let mut text = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let len = key
            .open_in_place(nonce, Aad::from(associated), &mut text)
            .expect("the server's record is encrypted with the right key")
            .len();
        text.truncate(len);
        self.opening.sequence += 1;
        let kind = match self.tls13 {
            true => text.pop().unwrap(),
            false => kind,
        };
        (kind, text)
    }
}
